// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Passkeys, and what can be done with recovery codes. A page works without this
// module as long as it offers another way; where it does not, it says so.

const decode = (text) => {
  const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(raw, (c) => c.charCodeAt(0));
};
const encode = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const described = (list) => list?.map((d) => ({ ...d, id: decode(d.id) }));

// The JSON forms of WebAuthn level 3, for browsers that do not know them by themselves.
const creation = (json) => PublicKeyCredential.parseCreationOptionsFromJSON?.(json) ?? {
  ...json,
  challenge: decode(json.challenge),
  user: { ...json.user, id: decode(json.user.id) },
  excludeCredentials: described(json.excludeCredentials),
};
const request = (json) => PublicKeyCredential.parseRequestOptionsFromJSON?.(json) ?? {
  ...json, challenge: decode(json.challenge), allowCredentials: described(json.allowCredentials),
};
const answer = (c) => {
  if (c.toJSON) return c.toJSON();
  const r = c.response, out = { clientDataJSON: encode(r.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (r[name]) out[name] = encode(r[name]);
  }
  if (r.getTransports) out.transports = r.getTransports();
  return {
    id: c.id, rawId: encode(c.rawId), type: c.type, response: out,
    authenticatorAttachment: c.authenticatorAttachment ?? undefined, clientExtensionResults: c.getClientExtensionResults(),
  };
};

// Some servers wrap the options in a member of their own.
const inner = (json) => json.publicKey ?? json;

const why = (error) => {
  switch (error.name) {
    case "NotAllowedError": return "Nothing was confirmed, or it took too long. Try again.";
    case "InvalidStateError": return "This device has a passkey for you already.";
    case "SecurityError": return "Passkeys do not work under this address.";
    case "TimeoutError": return "The page is too old. Reload it and try again.";
  }
  return "That did not work. Try again, or choose another way.";
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("button[type=button]");
  const note = form.querySelector("[data-needs-script]");
  const failed = form.querySelector("[data-passkey-error]");
  const fields = form.elements;
  if (!window.PublicKeyCredential) {
    note.textContent = "This browser does not know passkeys.";
    continue;
  }
  note.hidden = true;
  button.hidden = false;
  form.addEventListener("submit", (event) => { // the return key in a field
    event.preventDefault();
    button.click();
  });
  button.addEventListener("click", async () => {
    button.disabled = true;
    failed.hidden = true;
    try {
      let options = form.dataset.request;
      if (form.dataset.begin) {
        const res = await fetch(form.dataset.begin, { method: "POST" });
        if (!res.ok) throw new Error("begin");
        const begun = await res.json();
        fields.flow.value = begun.flow;
        options = JSON.stringify(begun.request);
      }
      const publicKey = inner(JSON.parse(options));
      const credential = form.dataset.passkey === "create"
        ? await navigator.credentials.create({ publicKey: creation(publicKey) })
        : await navigator.credentials.get({ publicKey: request(publicKey) });
      fields.response.value = JSON.stringify(answer(credential));
      form.submit();
    } catch (error) {
      failed.textContent = why(error);
      failed.hidden = false;
      button.disabled = false;
    }
  });
}

for (const bar of document.querySelectorAll("[data-codes]")) {
  const codes = [...document.querySelectorAll(`#${bar.dataset.codes} code`)].map((c) => c.textContent).join("\n") + "\n";
  const said = document.querySelector("[data-codes-said]");
  bar.hidden = false;
  bar.addEventListener("click", async (event) => {
    switch (event.target.dataset.do) {
      case "copy":
        try {
          await navigator.clipboard.writeText(codes);
          said.textContent = "Copied.";
        } catch {
          said.textContent = "Copying is not allowed here. Select the codes and copy them by hand.";
        }
        break;
      case "save": {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([codes], { type: "text/plain" }));
        link.download = "recovery-codes.txt";
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 1000);
        said.textContent = "Saved.";
        break;
      }
      case "print":
        print();
    }
  });
}

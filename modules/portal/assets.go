// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/sealedform"
)

//go:embed assets
var assetFiles embed.FS

// asset is one embedded file under the name that holds its hash.
type asset struct {
	media string
	body  []byte
}

// sealScript is the name of the module that encrypts passwords.
const sealScript = "seal.js"

// assets by hashed name, and the hashed path by plain name. Fixed at start: a
// file's content is its name, so browsers may keep it for ever.
var assets, assetPaths = loadAssets()

var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

func loadAssets() (map[string]asset, map[string]string) {
	byHash, byName := map[string]asset{}, map[string]string{}
	add := func(name string, body []byte) {
		ext := path.Ext(name)
		sum := sha256.Sum256(body)
		hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
		byHash[hashed] = asset{media: mediaTypes[ext], body: body}
		byName[name] = assetsPath + hashed
	}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic("portal: reading embedded assets: " + err.Error())
	}
	for _, e := range entries {
		body, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			panic("portal: reading embedded asset: " + err.Error())
		}
		add(e.Name(), body)
	}
	add(sealScript, sealedform.Script)
	return byHash, byName
}

// asset serves an embedded file; a name without the right hash is 404.
func (p *Portal) asset(w http.ResponseWriter, r *http.Request) {
	a, ok := assets[strings.TrimPrefix(r.URL.Path, assetsPath)]
	if !ok {
		p.fail(w, r, asJSON, faultNotFound)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Type", a.media)
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	writeBody(w, r, http.StatusOK, a.body)
}

// writeBody writes the head and, unless the method is HEAD, the body. An error
// means the client has gone: nobody is left to tell.
func writeBody(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) //nolint:gosec // made by html/template or embedded
	}
}

// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"regexp"
	"time"

	"github.com/crmgate/crmgate/policy/internal/shape"
)

var (
	providerText = &sh{Kind: shape.Text, Pattern: regexp.MustCompile(`^[a-z0-9-]{1,32}$`), Looks: "a provider's name, 1 to 32 of a-z, 0-9 and -"}
	specialText  = &sh{Kind: shape.Text, Pattern: regexp.MustCompile(`^[!-/:-@\[-` + "`" + `{-~]{1,32}$`), Looks: "up to 32 ASCII characters that are neither letter, digit nor space"}
	fileText     = &sh{Kind: shape.Text, Pattern: regexp.MustCompile(`^[^\x00-\x1f]{1,500}$`), Looks: "a file name"}
)

var signInShape = section(
	key{Name: "max_sessions", Shape: number(0, 100), Default: "10", Example: "3", Doc: "Sessions a person may have at a time; 0 is no limit."},
	key{Name: "provider", Shape: providerText, Example: "google", Doc: "The one provider everybody has to sign in with, by its name in the Caddyfile. Without it every provider and the password are open."},
	key{Name: "break_glass", Shape: list(emailText, 0), Example: "[root@example.com]", Doc: "Who may use a password in spite of `provider`, for the day on which it is away. Every such sign-in is in the audit as break-glass."},
	key{Name: "password_encryption", Shape: boolean, Default: "false", Example: "true", Doc: "Passwords leave the browser encrypted with a key that is used once; forms that send one in clear are refused. Needs JavaScript; browsers do not offer to remember the password."},
	key{Name: "second_factor", Shape: secondFactorShape, Example: "{mandate: all}", Doc: "Who has to give a second factor, and how. Profiles stand above users, users above roles, roles above the account."},
	key{Name: "trusted_device", Shape: trustedDeviceShape, Example: "{days: 30}", Doc: "Devices on which the second factor is not asked again."},
	key{Name: "profiles", Shape: &sh{Kind: shape.List, Elem: profileShape, Max: 200}, Example: "[{name: Field, users: [asha@example.com], second_factor: required}]", Doc: "Authentication profiles: what they say of the second factor stands above everything else."},
)

var secondFactorShape = section(
	key{Name: "mandate", Shape: word("none", "all"), Default: "none", Example: "all", Doc: "Whether everybody has to give one. Who has none sets one up while signing in. API key pairs are not concerned."},
	key{Name: "roles", Shape: list(idText, 0), Example: "[administrator, marketing_user, sales_manager]", Doc: "Roles that have to give one."},
	key{Name: "users", Shape: list(emailText, 0), Example: "[asha@example.com]", Doc: "People who have to give one."},
	key{Name: "methods", Shape: list(word("totp", "passkey", "mail", "sms"), 1), Example: "[totp, passkey]", Doc: "What counts: an authenticator app, a passkey, a code by mail, a code by SMS. Without it, whatever the gateway is set up for. Recovery codes always go with them."},
	key{Name: "optional", Shape: boolean, Default: "true", Example: "false", Doc: "People of whom none is required may set one up for themselves; then it is asked."},
	key{Name: "code_lifetime", Shape: span(time.Minute, 15*time.Minute, false), Default: "5m", Example: "3m", Doc: "How long a code sent by mail or SMS is good."},
	key{Name: "resend_gap", Shape: span(10*time.Second, 5*time.Minute, false), Default: "30s", Example: "1m", Doc: "How long to wait before another code is sent."},
	key{Name: "tries", Shape: number(1, 10), Default: "5", Example: "3", Doc: "Wrong tries after which a code sent by mail or SMS is void. Five wrong proofs of any kind end the sign-in, whatever stands here."},
	key{Name: "step_up", Shape: span(10*time.Second, 24*time.Hour, false), Default: "10m", Example: "5m", Doc: "How old the last proof may be for a sensitive act: adding or removing a factor, new recovery codes, a change of password. Older, and it is asked again."},
)

var trustedDeviceShape = section(
	key{Name: "days", Shape: word("0", "7", "15", "30", "60", "90", "180"), Default: "0", Example: "30", Doc: "For how many days a person may choose not to be asked on a device; 0 is never."},
	key{Name: "bind", Example: "{ipv4_prefix: 32}", Doc: "What has to stay the same; anything else is a new device.", Shape: section(
		key{Name: "agent", Shape: boolean, Default: "true", Example: "false", Doc: "The browser and the system; a newer version of either is the same one."},
		key{Name: "ipv4_prefix", Shape: number(0, 32), Default: "24", Example: "32", Doc: "So many bits of an IPv4 address; 0 does not bind."},
		key{Name: "ipv6_prefix", Shape: number(0, 128), Default: "56", Example: "64", Doc: "So many bits of an IPv6 address; 0 does not bind."},
	)},
)

var profileShape = section(
	key{Name: "name", Shape: &sh{Kind: shape.Text, Min: 1, Max: 100}, Required: true, Example: "Field", Doc: "The name people read."},
	key{Name: "description", Shape: text(1000), Example: "Phones that leave the office", Doc: "What the profile is for."},
	key{Name: "users", Shape: list(emailText, 1), Required: true, Example: "[asha@example.com]", Doc: "Who is in it; nobody is in two."},
	key{Name: "second_factor", Shape: word(string(FactorRequired), string(FactorOptional), string(FactorOff)), Required: true, Example: "required", Doc: "Required; asked of those who have set one up; never asked."},
)

var passwordShape = section(
	key{Name: "min_length", Shape: number(8, 128), Default: "12", Example: "14", Doc: "Least number of characters."},
	key{Name: "max_length", Shape: number(64, 1024), Default: "128", Example: "256", Doc: "Greatest number of characters."},
	key{Name: "min_upper", Shape: number(0, 16), Default: "0", Example: "1", Doc: "Least number of capital letters."},
	key{Name: "min_lower", Shape: number(0, 16), Default: "0", Example: "1", Doc: "Least number of small letters."},
	key{Name: "min_digits", Shape: number(0, 16), Default: "0", Example: "1", Doc: "Least number of digits."},
	key{Name: "min_special", Shape: number(0, 16), Default: "0", Example: "1", Doc: "Least number of other characters."},
	key{Name: "special", Shape: specialText, Example: "\"!#$%&*+-_\"", Doc: "The only special characters a password may have. Without it every one may be used."},
	key{Name: "forbid_personal", Shape: boolean, Default: "true", Example: "false", Doc: "Refuse passwords that hold a part of the person's name or e-mail address."},
	key{Name: "history", Shape: number(0, 24), Default: "0", Example: "5", Doc: "How many earlier passwords may not be used again."},
	key{Name: "max_age", Shape: span(24*time.Hour, 17520*time.Hour, true), Default: "off", Example: "2160h", Doc: "After this time a password has to be changed at the next sign-in."},
	key{Name: "min_age", Shape: span(time.Minute, 720*time.Hour, true), Default: "off", Example: "24h", Doc: "So long a new password has to be kept, lest the history be run through. An administrator's change does not count."},
	key{Name: "min_score", Shape: number(0, 4), Default: "0", Example: "3", Doc: "Least strength by zxcvbn, from 0 (anything) to 4 (very hard to guess)."},
	key{Name: "breached", Shape: fileText, Example: "/etc/crmgate/breached.txt", Doc: "File of passwords known from breaches, as sorted lines of SHA-1 in hex, `HASH:count` or `HASH`. Missing or unsorted, the policy is refused."},
	key{Name: "reset_after_admin_change", Shape: boolean, Default: "true", Example: "false", Doc: "A password an administrator set has to be changed at the next sign-in."},
)

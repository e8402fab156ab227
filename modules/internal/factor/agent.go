// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// maxAgent is as much of a User-Agent as is looked at.
const maxAgent = 1024

// agentHash stands for the exact browser a pending sign-in began in.
func agentHash(agent string) string {
	sum := sha256.Sum256([]byte(agent))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// agentFamily is what stays of a User-Agent when a browser or a system is
// updated: the names in it. What follows a slash, and every digit, dot and
// underscore goes; so "Chrome/131.0.0.0" becomes "Chrome" and "Intel Mac OS X
// 10_15_7" becomes "Intel Mac OS X".
func agentFamily(agent string) string {
	if len(agent) > maxAgent {
		agent = agent[:maxAgent]
	}
	var b strings.Builder
	version := false
	for _, c := range []byte(agent) {
		switch {
		case c == '/':
			version = true
		case c == ' ' || c == ';' || c == '(' || c == ')' || c == ',':
			version = false
			b.WriteByte(c)
		case version, c >= '0' && c <= '9', c == '.', c == '_':
		default:
			b.WriteByte(c)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// AgentName names a browser for the list of devices: "Firefox on Windows". It is
// a hint for people and decides nothing.
func AgentName(agent string) string {
	first := func(names ...string) string {
		for i := 0; i < len(names); i += 2 {
			if strings.Contains(agent, names[i]) {
				return names[i+1]
			}
		}
		return ""
	}
	browser := first("Edg", "Edge", "OPR/", "Opera", "SamsungBrowser", "Samsung Internet", "FxiOS", "Firefox", "Firefox", "Firefox",
		"CriOS", "Chrome", "Chrome", "Chrome", "Safari", "Safari")
	system := first("Windows", "Windows", "Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Mac OS X", "macOS", "CrOS", "ChromeOS", "Linux", "Linux")
	switch {
	case browser == "" && system == "":
		return "Unknown device"
	case system == "":
		return browser
	case browser == "":
		return system
	}
	return browser + " on " + system
}

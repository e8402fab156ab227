// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import "strings"

// Device makes a User-Agent readable: "Chrome on Windows". It is for a person to
// tell their own sessions apart and for nothing else: the header says what the
// client likes. What is not known is "Unknown device".
func Device(userAgent string) string {
	browser, system := find(userAgent, browsers), find(userAgent, systems)
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	case system != "":
		return system
	}
	return "Unknown device"
}

// Order matters: most browsers name the ones they imitate as well.
var browsers = [][2]string{
	{"Edg", "Edge"},
	{"OPR/", "Opera"},
	{"SamsungBrowser/", "Samsung Internet"},
	{"Vivaldi/", "Vivaldi"},
	{"FxiOS/", "Firefox"},
	{"Firefox/", "Firefox"},
	{"CriOS/", "Chrome"},
	{"Chrome/", "Chrome"},
	{"Safari/", "Safari"},
	{"curl/", "curl"},
	{"okhttp/", "Mobile app"},
	{"CFNetwork/", "Mobile app"},
	{"Dart/", "Mobile app"},
	{"Go-http-client/", "Program"},
	{"python-requests/", "Program"},
	{"PostmanRuntime/", "Postman"},
}

var systems = [][2]string{
	{"iPhone", "iPhone"},
	{"iPad", "iPad"},
	{"Android", "Android"},
	{"CrOS", "ChromeOS"},
	{"Windows", "Windows"},
	{"Macintosh", "Mac"},
	{"Darwin/", "Apple device"},
	{"Linux", "Linux"},
}

func find(s string, table [][2]string) string {
	for _, row := range table {
		if strings.Contains(s, row[0]) {
			return row[1]
		}
	}
	return ""
}

// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package plan

// FoldID returns the form in which owner ids are compared: without '-', '_',
// '{' and '}', ASCII letters in lower case. The keys of a Viewer are in this form.
func FoldID(id string) string { return string(AppendFoldID(nil, []byte(id))) }

// AppendFoldID appends the folded form of id to dst.
func AppendFoldID(dst, id []byte) []byte {
	for _, c := range id {
		switch {
		case c == '-' || c == '_' || c == '{' || c == '}':
		case 'A' <= c && c <= 'Z':
			dst = append(dst, c+'a'-'A')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

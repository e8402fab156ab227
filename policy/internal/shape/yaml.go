// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package shape

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

var yamlAt = regexp.MustCompile(`line (\d+)`)

// yamlLine finds the line in an error of the YAML library, which has it only in
// its text.
func yamlLine(err error) int {
	m := yamlAt.FindStringSubmatch(err.Error())
	if m == nil {
		return 1
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

func yamlText(err error) string {
	s := strings.TrimPrefix(err.Error(), "yaml: ")
	if i := strings.Index(s, ": "); i > 0 && strings.HasPrefix(s, "line ") {
		s = s[i+2:]
	}
	return strings.ReplaceAll(s, "\n", " ")
}

// MendYAML says how to mend a line that is not YAML. A tab in front of a line is
// the likeliest mistake of all that nobody can see.
func MendYAML(data []byte, line int) string {
	at := 0
	for text := range bytes.Lines(data) {
		at++
		indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
		if (at == line || at == line+1) && bytes.IndexByte(indent, '\t') >= 0 {
			return fmt.Sprintf("line %d begins with a tab: indent with spaces", at)
		}
	}
	return "look for a wrong indent or a missing quote near this line"
}

func lineOfBadUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return 1 + bytes.Count(data[:i], []byte("\n"))
		}
		i += n
	}
	return 1
}

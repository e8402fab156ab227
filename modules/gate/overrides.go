// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"net/url"
	"slices"
	"strings"
)

// overrides are headers that change method or path behind the gate's back, or speak
// for the connection, as requests have them.
var overrides = []string{
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Method", "X-Forwarded-Method",
	"X-Original-Url", "X-Original-Uri", "X-Rewrite-Url", "X-Rewrite-Uri", "X-Override-Url", "X-Forwarded-Uri", "X-Forwarded-Prefix", "Early-Data",
}

// methodNames are the parameters by which web frameworks let a request say another
// method than the one it has, in lower case.
var methodNames = []string{"_method", "_http_method", "x-http-method-override", "x-http-method", "x-method-override"}

// otherMethod says whether a parameter names another method than the one that was judged.
func otherMethod(method string, query url.Values) bool {
	for name, values := range query {
		if !slices.Contains(methodNames, strings.ToLower(name)) {
			continue
		}
		if slices.ContainsFunc(values, func(v string) bool { return !strings.EqualFold(v, method) }) {
			return true
		}
	}
	return false
}

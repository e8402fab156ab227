// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import "slices"

// userStatus is the field of a user that says whether he is active.
const userStatus = "status"

// holdStatus takes the right to write a user's status from whoever may not activate
// users, or not deactivate them: what a value of it does only the CRM knows. Where a
// map has a request for the one or the other, its feature says so besides.
func (c *compiler) holdStatus(out *restriction) {
	user := c.m.Entities["user"]
	switched := slices.ContainsFunc([]string{"activate_users", "deactivate_users"}, func(f string) bool { return out.features[f] })
	if !switched || user == nil || user.Fields[userStatus] == nil {
		return
	}
	fields := out.entity(user.Name).fields
	fields[userStatus] = fields[userStatus].join(fieldRestriction{edit: mayNotWrite})
}

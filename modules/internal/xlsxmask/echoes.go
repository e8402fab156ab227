// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import "github.com/crmgate/crmgate/policy/plan"

// remember notes what of a row is masked or hidden, before any of its texts is
// searched: texts, ISO dates, and numbers by their digits.
func (m *Masker) remember(columns []column, cells []cell) {
	m.judge.Next()
	for i := range cells {
		c, t := &cells[i], columns[cells[i].column].treat
		if t.Effect < plan.Mask {
			continue
		}
		switch c.kind {
		case text, moment:
			m.judge.Remember(c.value, t)
		case digits:
			m.judge.Known().AddNumber(c.value, t.Mask, t.Effect == plan.Hide)
		case truth, fault: // everybody's
		}
	}
}

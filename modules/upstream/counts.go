// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/policy/plan"
)

// uncount removes from the header of an answer what counts its records, where some of
// them may be left out: the one the map names, and whatever says so by its name. What
// is wrong would tell how many there are that the person may not see (leak L67). Where
// only the number of records is capped, a count within the cap stays.
func uncount(h http.Header, p *plan.Plan, d *crmgate.Decision) {
	if !p.Few {
		return
	}
	for name, values := range h {
		if !strings.EqualFold(name, p.Total) && !isCountName(name) {
			continue
		}
		if d.Viewer != nil || len(values) != 1 || !atMost(values[0], p.MaxRows) {
			delete(h, name)
		}
	}
}

func atMost(number string, most int) bool {
	n, err := strconv.Atoi(strings.TrimSpace(number))
	return err == nil && n <= most
}

// isCountName recognises headers such as X-Total-Count, X-WP-TotalPages, X-Pagination.
func isCountName(name string) bool {
	for word := range strings.SplitSeq(strings.ToLower(name), "-") {
		if strings.HasPrefix(word, "total") || strings.HasPrefix(word, "pagination") || strings.HasSuffix(word, "count") && !strings.HasSuffix(word, "account") {
			return true
		}
	}
	return false
}

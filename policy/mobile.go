// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

// MobileRights is what a person may do with the mobile app, everything merged.
type MobileRights struct {
	Offline       bool `json:"offline"`        // keep leads on the device
	MaxLeads      int  `json:"max_leads"`      // how many: 50 to 10,000; plans of sync routes carry it as MaxRows
	Overwrite     bool `json:"overwrite"`      // offline changes win over newer ones; false: they lose
	RecordCalls   bool `json:"record_calls"`   //
	TrackLocation bool `json:"track_location"` //
}

// Mobile returns the mobile permissions of a principal; nothing is permitted to
// nobody and to a role the policy does not have. Overwriting is permitted only
// when somebody permitted it and nobody forbade it.
func (s *Set) Mobile(p *Principal) MobileRights {
	if p == nil || p.Kind == Nobody || p.Kind == "" {
		return MobileRights{}
	}
	r := s.resolve(p)
	if r == nil {
		return MobileRights{}
	}
	m := r.merged.mobile
	return MobileRights{Offline: !m.noOffline, MaxLeads: r.maxLeads, Overwrite: m.overwrite && !m.ignore, RecordCalls: !m.noCalls, TrackLocation: !m.noLocation}
}

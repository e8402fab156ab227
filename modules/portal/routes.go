// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"maps"
	"net/http"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

// route is one path: its handler for each method, and the form its refusals take.
type route struct {
	form           form
	get, post, del http.HandlerFunc
	open           bool // reads no cookie and changes nothing: not checked
}

// mount returns the routes of the features that are on.
func (p *Portal) mount() map[string]route {
	m := map[string]route{
		SignInPath:               {form: asPage, get: p.showSignIn, post: p.postSignIn},
		signedInPath:             {form: asPage, get: p.signedIn},
		SignOutPath:              {form: asPage, get: p.showSignOut, post: p.postSignOut},
		AccountPath:              {form: asPage, get: p.showAccount},
		endSessionPath:           {form: asPage, post: p.postEndSession},
		endOthersPath:            {form: asPage, post: p.postEndOthers},
		apiPrefix + "sign-in":    {form: asJSON, post: p.apiSignIn},
		apiPrefix + "sign-out":   {form: asJSON, post: p.apiSignOut},
		apiPrefix + "session":    {form: asJSON, get: p.apiSession},
		apiPrefix + "sessions":   {form: asJSON, get: p.apiSessions},
		apiSessionsPath + "{id}": {form: asJSON, del: p.apiEndSession},
		HealthPath:               {form: asJSON, get: p.health, open: true},
		assetsPath + "{hashed}":  {form: asJSON, get: p.asset, open: true},
	}
	if p.opts.Entry != nil {
		maps.Copy(m, p.entryRoutes())
	}
	if p.opts.Steps != nil {
		maps.Copy(m, p.stepRoutes())
	}
	if p.opts.Factors != nil {
		maps.Copy(m, p.factorRoutes())
	}
	if p.opts.Passwords != nil {
		maps.Copy(m, p.passwordRoutes())
	}
	if p.opts.Kept != nil {
		m[KeptPath] = route{form: asPage, get: p.showKept, post: p.sendKept}
		m[dropKeptPath] = route{form: asPage, post: p.dropKept}
	}
	if p.opts.SSO != nil {
		m[signin.SSOPrefix+"{name}/{endpoint}"] = route{form: asPage, get: p.sso, post: p.sso}
	}
	return m
}

func (p *Portal) entryRoutes() map[string]route {
	return map[string]route{
		passkeyPath:                  {form: asPage, post: p.postPasskey},
		apiPrefix + "entrances":      {form: asJSON, get: p.apiEntrances},
		apiPrefix + "passkey/begin":  {form: asJSON, post: p.apiBeginPasskey},
		apiPrefix + "passkey/finish": {form: asJSON, post: p.apiFinishPasskey},
		apiPrefix + "password/key":   {form: asJSON, post: p.apiPasswordKey},
	}
}

func (p *Portal) stepRoutes() map[string]route {
	m := map[string]route{
		StepPath:                   {form: asPage, get: p.showStep, post: p.postStep},
		sendPath:                   {form: asPage, post: p.postSend},
		cancelPath:                 {form: asPage, post: p.postCancel},
		StepUpPath:                 {form: asPage, get: p.showStepUp, post: p.postStepUp},
		apiPrefix + "step":         {form: asJSON, get: p.apiStep, del: p.apiCancel},
		apiPrefix + "step/code":    {form: asJSON, post: p.apiSend},
		apiPrefix + "step/passkey": {form: asJSON, post: p.apiChallenge},
		apiPrefix + "step/prove":   {form: asJSON, post: p.apiProve},
		apiPrefix + "step-up":      {form: asJSON, post: p.apiStepUp},
	}
	if p.opts.Factors != nil {
		m[stepBeginPath] = route{form: asPage, post: p.postStepBegin}
		m[stepFinishPath] = route{form: asPage, post: p.postStepFinish}
	}
	if p.opts.Passwords != nil {
		m[stepPasswordPath] = route{form: asPage, post: p.postStepPassword}
	}
	return m
}

func (p *Portal) factorRoutes() map[string]route {
	return map[string]route{
		beginPath:                    {form: asPage, post: p.postBegin},
		finishPath:                   {form: asPage, post: p.postFinish},
		removePath:                   {form: asPage, post: p.postRemove},
		recoveryPath:                 {form: asPage, post: p.postRecovery},
		renamePath:                   {form: asPage, post: p.postRename},
		revokePath:                   {form: asPage, post: p.postRevoke},
		apiPrefix + "factors":        {form: asJSON, get: p.apiFactors},
		apiPrefix + "factors/begin":  {form: asJSON, post: p.apiBegin},
		apiPrefix + "factors/finish": {form: asJSON, post: p.apiFinish},
		apiFactorsPath + "{id}":      {form: asJSON, del: p.apiRemove},
		apiPrefix + "recovery-codes": {form: asJSON, post: p.apiRecovery},
		apiPrefix + "devices":        {form: asJSON, get: p.apiDevices},
		apiDevicesPath + "{id}":      {form: asJSON, post: p.apiRename, del: p.apiRevoke},
	}
}

func (p *Portal) passwordRoutes() map[string]route {
	return map[string]route{
		passwordPath:                  {form: asPage, get: p.showPassword, post: p.postPassword},
		ForgotPath:                    {form: asPage, get: p.showForgot, post: p.postForgot},
		ResetPath:                     {form: asPage, get: p.showReset, post: p.postReset},
		apiPrefix + "password/rules":  {form: asJSON, get: p.apiRules},
		apiPrefix + "password/check":  {form: asJSON, post: p.apiCheck},
		apiPrefix + "password/change": {form: asJSON, post: p.apiChange},
		apiPrefix + "password/forgot": {form: asJSON, post: p.apiForgot},
		apiPrefix + "password/reset":  {form: asJSON, post: p.apiReset},
	}
}

// find returns the route of a decoded path.
func (p *Portal) find(path string) (route, bool) {
	if rt, ok := p.routes[path]; ok {
		return rt, true
	}
	for _, prefix := range [...]string{apiSessionsPath, apiFactorsPath, apiDevicesPath} {
		if strings.HasPrefix(path, prefix) {
			path = prefix + "{id}"
		}
	}
	switch {
	case strings.HasPrefix(path, assetsPath):
		path = assetsPath + "{hashed}"
	case strings.HasPrefix(path, signin.SSOPrefix):
		path = signin.SSOPrefix + "{name}/{endpoint}"
	}
	rt, ok := p.routes[path]
	return rt, ok
}

// handler returns the handler of a method, or nil.
func (rt route) handler(method string) http.HandlerFunc {
	switch method {
	case http.MethodGet, http.MethodHead:
		return rt.get
	case http.MethodPost:
		return rt.post
	case http.MethodDelete:
		return rt.del
	}
	return nil
}

// allow is the value of the Allow header.
func (rt route) allow() string {
	var m []string
	if rt.get != nil {
		m = append(m, "GET, HEAD")
	}
	if rt.post != nil {
		m = append(m, "POST")
	}
	if rt.del != nil {
		m = append(m, "DELETE")
	}
	return strings.Join(m, ", ")
}

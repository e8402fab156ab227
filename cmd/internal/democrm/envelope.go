// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"fmt"
	"net/http"
)

// apiError is a refusal in the CRM's own error envelope.
type apiError struct {
	status  int
	kind    string
	message string
}

func (e *apiError) Error() string { return e.kind + ": " + e.message }

// errorEnvelope is how every refusal is written.
type errorEnvelope struct {
	Status           string
	ExceptionType    string
	ExceptionMessage string
}

// fail makes a logical error: this API answers those with HTTP 500.
func fail(kind, format string, args ...any) *apiError {
	return &apiError{http.StatusInternalServerError, "MX" + kind + "Exception", fmt.Sprintf(format, args...)}
}

func notFound(what string) *apiError {
	return &apiError{http.StatusNotFound, "MXNotFoundException", what + " not found"}
}

// noSuchRecord is the answer about an activity or opportunity that is not there.
func noSuchRecord() *apiError { return fail("InvalidInput", "There is no such record") }

func badRequest(format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, "MXInvalidInputException", fmt.Sprintf(format, args...)}
}

func unauthorised(message string) *apiError {
	return &apiError{http.StatusUnauthorized, "MXUnAuthorizedAccessException", message}
}

// The shapes of a write that went well.
type (
	success   struct{ Status string }
	successID struct {
		Status  string
		Message messageID
	}
	messageID   struct{ Id string }
	successRows struct {
		Status  string
		Message messageRows
	}
	messageRows  struct{ AffectedRows int }
	successUsers struct {
		Status  string
		Message messageUsers
	}
	messageUsers struct {
		AffectedRows    int
		IsSuccessful    bool
		AffectedUserIds []string
	}
)

func okay() success              { return success{"Success"} }
func okayID(id string) successID { return successID{"Success", messageID{id}} }
func okayRows(n int) successRows { return successRows{"Success", messageRows{n}} }
func okayUsers(ids []string) successUsers {
	return successUsers{"Success", messageUsers{len(ids), true, ids}}
}

<?php
// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// The services the test asked for.
foreach (json_decode(file_get_contents(getenv('PEER_HOME') . '/services.json'), true) as $s) {
    $binding = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-';
    $metadata[$s['EntityID']] = [
        'AssertionConsumerService' => [['Binding' => $binding . 'POST', 'Location' => $s['ACS'], 'index' => 0]],
        'SingleLogoutService' => [['Binding' => $binding . 'Redirect', 'Location' => $s['SLO']]],
        'keys' => [['type' => 'X509Certificate', 'signing' => true, 'encryption' => true, 'X509Certificate' => $s['Certificate']]],
        'validate.authnrequest' => true,
        'saml20.sign.response' => $s['SignResponse'],
        'saml20.sign.assertion' => $s['SignAssertion'],
        'assertion.encryption' => $s['Encrypt'] !== '',
        'signature.algorithm' => 'http://www.w3.org/' . ($s['SHA1'] ? '2000/09/xmldsig#rsa-sha1' : '2001/04/xmldsig-more#rsa-sha256'),
    ] + ($s['Encrypt'] !== '' ? ['sharedkey_algorithm' => $s['Encrypt']] : []);
}

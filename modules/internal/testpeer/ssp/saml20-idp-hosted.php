<?php
// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// The claims and the entity id have the shape ADFS gives them.
$claim = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/';
$metadata['http://adfs.example.test/adfs/services/trust'] = [
    'host' => '__DEFAULT__',
    'auth' => 'people',
    'privatekey' => 'idp.pem',
    'certificate' => 'idp.crt',
    'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    'sign.logout' => true,
    'validate.logout' => true,
    'validate.authnrequest' => true,
    'SingleSignOnServiceBinding' => ['urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect', 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'],
    'SingleLogoutServiceBinding' => ['urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect', 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'],
    'attributes.NameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:uri',
    'NameIDFormat' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
    'authproc' => [
        10 => ['class' => 'saml:AttributeNameID', 'attribute' => 'login', 'Format' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent'],
        20 => [
            'class' => 'core:AttributeMap',
            'mail' => $claim . 'emailaddress',
            'name' => $claim . 'name',
            'login' => 'http://schemas.microsoft.com/ws/2008/06/identity/claims/windowsaccountname',
            'group' => 'http://schemas.xmlsoap.org/claims/Group',
        ],
    ],
];

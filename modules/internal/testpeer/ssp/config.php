<?php
// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// SimpleSAMLphp as an identity provider for one test: everything it writes stays
// in the test's own folder.
$home = getenv('PEER_HOME');
$config = [
    'baseurlpath' => getenv('PEER_URL'),
    'certdir' => "$home/cert/",
    'datadir' => "$home/data/",
    'loggingdir' => "$home/log/",
    'tempdir' => "$home/tmp",
    'metadatadir' => "$home/metadata/",
    'metadata.sources' => [['type' => 'flatfile']],
    'attributenamemapdir' => '/etc/simplesamlphp/attributemap/',
    'logging.handler' => 'file',
    'logging.level' => 6,
    'logging.logfile' => 'ssp.log',
    'errorreporting' => false,
    'showerrors' => true,
    'production' => true,
    'timezone' => 'UTC',
    'secretsalt' => 'a-salt-for-tests-and-nothing-else',
    'auth.adminpassword' => 'an-admin-of-tests',
    'technicalcontact_email' => 'nobody@example.test',
    'admin.checkforupdates' => false,
    'enable.saml20-idp' => true,
    'module.enable' => ['core' => true, 'exampleauth' => true, 'saml' => true],
    'store.type' => 'phpsession',
    'session.duration' => 3600,
    'session.datastore.timeout' => 3600,
    'session.state.timeout' => 3600,
    'session.cookie.secure' => false,
    'session.cookie.samesite' => 'Lax',
    'session.phpsession.savepath' => "$home/tmp",
    'session.phpsession.httponly' => true,
    'language.cookie.secure' => false,
    'language.available' => ['en'],
    'language.default' => 'en',
    'theme.use' => 'default',
    'trusted.url.domains' => null,
    'metadata.sign.enable' => true,
    'metadata.sign.privatekey' => 'idp.pem',
    'metadata.sign.certificate' => 'idp.crt',
    'metadata.sign.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
];

<?php
// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// login:password, and what the directory behind the provider knows of the person.
$config = [
    'people' => [
        'exampleauth:UserPass',
        'sally:pw-sally' => ['login' => ['sally'], 'mail' => ['Sally@example.test'], 'name' => ['Sally Sales'], 'group' => ['Sales']],
        'mark:pw-mark' => ['login' => ['mark'], 'mail' => ['mark@example.test'], 'name' => ['Mark Manager'], 'group' => ['Sales', 'Managers']],
        'two:pw-two' => ['login' => ['two'], 'mail' => ['mark@example.test', 'sally@example.test'], 'name' => ['Two Addresses']],
        'evil:pw-evil' => ['login' => ['evil'], 'mail' => ['evil@evil.test@example.test'], 'name' => ['<script>alert(1)</script>']],
    ],
];

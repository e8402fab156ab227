// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package testpeer

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const sspPackages = "apt-get install --no-install-recommends simplesamlphp php-cli php-xml php-mbstring php-curl"

// SSPEntityID is the provider's name, in the shape ADFS gives it.
const SSPEntityID = "http://adfs.example.test/adfs/services/trust"

//go:embed ssp/*.php
var sspFiles embed.FS

// SSPService is a service the provider knows, and how it answers that one.
type SSPService struct {
	EntityID, ACS, SLO string
	Certificate        string // base64 of its DER: verifies requests, encrypts assertions
	SignResponse       bool
	SignAssertion      bool
	Encrypt            string // XML Encryption's name of the cipher; "": not encrypted
	SHA1               bool   // sign with SHA-1
}

// SSP is SimpleSAMLphp as a SAML identity provider with the claims of ADFS. The
// people are sally, mark, two (with two addresses) and evil (with two @); passwords
// are "pw-" and the login.
type SSP struct {
	URL         string            // ends in a slash
	Metadata    string            // URL
	Certificate *x509.Certificate // signs answers and the metadata

	tb  testing.TB
	dir string
	cmd *exec.Cmd
	log bytes.Buffer
}

// StartSSP starts the provider and stops it when the test ends.
func StartSSP(tb testing.TB, services ...SSPService) *SSP {
	tb.Helper()
	const www = "/usr/share/simplesamlphp/www"
	php, err := exec.LookPath("php")
	if err == nil {
		_, err = os.Stat(www)
	}
	if err != nil {
		tb.Fatalf("SimpleSAMLphp is not installed and this test talks to a real one: %s", sspPackages)
	}
	p := &SSP{tb: tb, dir: tb.TempDir()}
	p.URL = "http://127.0.0.1:" + strconv.Itoa(freePort(tb)) + "/"
	p.Metadata = p.URL + "saml2/idp/metadata.php"
	for _, f := range []string{"config", "metadata", "cert", "data", "log", "tmp"} {
		if err := os.Mkdir(filepath.Join(p.dir, f), 0o700); err != nil {
			tb.Fatalf("preparing SimpleSAMLphp: %v", err)
		}
	}
	for name, folder := range map[string]string{"config.php": "config", "authsources.php": "config", "saml20-idp-hosted.php": "metadata", "saml20-sp-remote.php": "metadata"} {
		b, err := sspFiles.ReadFile("ssp/" + name)
		if err != nil {
			tb.Fatalf("preparing SimpleSAMLphp: %v", err)
		}
		p.file(filepath.Join(folder, name), b)
	}
	list, err := json.Marshal(services)
	if err != nil {
		tb.Fatalf("preparing SimpleSAMLphp: %v", err)
	}
	p.file("services.json", list)
	p.key()
	p.start(php, www)
	return p
}

func (p *SSP) file(name string, content []byte) {
	p.tb.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), content, 0o600); err != nil {
		p.tb.Fatalf("preparing SimpleSAMLphp: %v", err)
	}
}

func (p *SSP) key() {
	p.tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		p.tb.Fatalf("making the provider's key: %v", err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "adfs.example.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		p.tb.Fatalf("making the provider's certificate: %v", err)
	}
	if p.Certificate, err = x509.ParseCertificate(der); err != nil {
		p.tb.Fatalf("making the provider's certificate: %v", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.tb.Fatalf("making the provider's key: %v", err)
	}
	p.file("cert/idp.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	p.file("cert/idp.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (p *SSP) start(php, www string) {
	p.tb.Helper()
	p.cmd = exec.Command(php, "-d", "display_errors=0", "-d", "log_errors=1", "-S", p.URL[len("http://"):len(p.URL)-1], "-t", www)
	p.cmd.Dir = p.dir
	p.cmd.Env = append(os.Environ(), "PEER_HOME="+p.dir, "PEER_URL="+p.URL, "SIMPLESAMLPHP_CONFIG_DIR="+filepath.Join(p.dir, "config"), "PHP_CLI_SERVER_WORKERS=2")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		p.tb.Fatalf("starting SimpleSAMLphp: %v", err)
	}
	p.tb.Cleanup(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // the group it was started in: itself and its workers
		_ = p.cmd.Wait()
	})
	for deadline := time.Now().Add(30 * time.Second); ; {
		res, err := http.Get(p.Metadata)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
			err = fmt.Errorf("it answers %s", res.Status)
		}
		if time.Now().After(deadline) {
			p.tb.Fatalf("SimpleSAMLphp does not serve its metadata: %v\n%s", err, p.Log())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Initiated is where a browser begins a sign-in at the provider itself.
func (p *SSP) Initiated(entityID string) string {
	return p.URL + "saml2/idp/SSOService.php?spentityid=" + entityID
}

// SignOut is where a browser signs out at the provider itself; it ends at back.
func (p *SSP) SignOut(back string) string {
	return p.URL + "saml2/idp/initSLO.php?RelayState=" + back
}

// Log is what the provider wrote about itself.
func (p *SSP) Log() string {
	b, _ := os.ReadFile(filepath.Join(p.dir, "log", "ssp.log"))
	return string(b)
}

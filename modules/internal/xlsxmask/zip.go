// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
)

// pack is the zip a workbook came in. Names of parts are the same in every case
// of their letters (ECMA-376 part 2).
type pack struct {
	parts map[string]*zip.File
	left  int64 // bytes that may still be unpacked
	most  int64 // of them at first
}

// encrypted is the flag of a part that needs a password.
const encrypted = 1

// openPack reads the directory of a zip. The parts are counted before it does, for
// the directory is read into memory as a whole.
func openPack(body []byte, b bounds) (*pack, error) {
	if !bytes.HasPrefix(body, []byte("PK\x03\x04")) {
		return nil, bad("no zip")
	}
	if bytes.Count(body, []byte("PK\x01\x02")) > b.parts {
		return nil, &jsonmask.LimitError{What: "parts of a workbook", Limit: b.parts}
	}
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return nil, bad("a broken zip")
	}
	z.RegisterDecompressor(zip.Deflate, flate.NewReader)
	p := &pack{parts: map[string]*zip.File{}, most: min(b.unpacked, 1<<20+b.ratio*int64(len(body)))}
	p.left = p.most
	for _, f := range z.File {
		name := strings.ToLower(f.Name)
		switch {
		case f.Flags&encrypted != 0:
			return nil, bad("an encrypted part")
		case f.Method != zip.Store && f.Method != zip.Deflate:
			return nil, bad("a part that is packed in a way nobody reads")
		case f.UncompressedSize64 > uint64(b.unpacked) && !droppable(name):
			return nil, p.tooLarge()
		case strings.HasSuffix(name, "/") && f.UncompressedSize64 == 0 && plainName(name[:len(name)-1]):
			continue // a folder
		case !plainName(name):
			return nil, bad("a part with a name that leads elsewhere")
		case p.parts[name] != nil:
			return nil, bad("two parts of one name")
		}
		p.parts[name] = f
	}
	return p, nil
}

// plainName says whether a name means the same to every program.
func plainName(name string) bool {
	return name != "" && len(name) < 256 && utf8.ValidString(name) && !strings.ContainsAny(name, "\\%:\x00") && !strings.HasPrefix(name, "/") &&
		path.Clean(name) == name && name != "." && !strings.HasPrefix(name, "..")
}

func (p *pack) tooLarge() error {
	return &jsonmask.LimitError{What: "unpacked size of a workbook", Limit: int(p.most)}
}

// open returns the content of a part. Where it ends before its checksum was held
// against it, that is an error of the reader.
func (p *pack) open(name string) (io.ReadCloser, error) {
	f := p.parts[name]
	if f == nil {
		return nil, bad("a part that is not there")
	}
	r, err := f.Open()
	if err != nil {
		return nil, bad("a broken part")
	}
	return &content{r, p}, nil
}

// content counts what is unpacked.
type content struct {
	io.ReadCloser
	pack *pack
}

// Read implements io.Reader.
func (c *content) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	if c.pack.left -= int64(n); c.pack.left < 0 {
		return 0, c.pack.tooLarge()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = bad("a broken part")
	}
	return n, err
}

// harmless are the parts that a workbook of cells does without, by the folder or
// the beginning of the name that programs give them.
var harmless = []string{
	"[content_types].xml", "docprops/", "customxml/", "_xmlsignatures/", "docmetadata/", "xl/theme/", "xl/calcchain.xml", "xl/comments",
	"xl/threadedcomments/", "xl/persons/", "xl/drawings/", "xl/charts/", "xl/media/", "xl/pivotcache/", "xl/pivottables/", "xl/tables/",
	"xl/querytables/", "xl/connections.xml", "xl/externallinks/", "xl/printersettings/", "xl/vbaproject", "xl/metadata", "xl/richdata/",
	"xl/embeddings/", "xl/ctrlprops/", "xl/activex/", "xl/slicers/", "xl/slicercaches/", "xl/timelines/", "xl/timelinecaches/", "xl/customproperty",
	"xl/worksheets/", "xl/styles.xml", "xl/sharedstrings.xml", "xl/revisions/", "xl/webextensions/", "xl/xmlmaps.xml", "xl/usernames.xml",
	"xl/featurepropertybag/", "xl/namedsheetviews/", "xl/model/", "xl/volatiledependencies.xml", "xl/diagrams/", "customui/",
	"package/services/metadata/", "pivotcache/", "[trash]/", // of .NET's packages, of ClosedXML, and what Excel has given up
}

// droppable says whether a part may go without being looked at.
func droppable(name string) bool {
	if strings.HasSuffix(name, ".rels") && path.Base(path.Dir(name)) == "_rels" {
		return true
	}
	for _, h := range harmless {
		if strings.HasPrefix(name, h) {
			return true
		}
	}
	return false
}

package hadoop

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// siteFiles are read from each directory, later ones over earlier ones.
var siteFiles = []string{"core-site.xml", "hdfs-site.xml", "yarn-site.xml"}

// maxSiteFile bounds one site file.
const maxSiteFile = 16 << 20

// LoadSite reads core-site.xml, hdfs-site.xml and yarn-site.xml from each
// directory in turn, such as those that HADOOP_CONF_DIR and YARN_CONF_DIR name.
// A later value replaces an earlier one unless that was marked final. Missing
// files are fine, a missing directory is an error; empty names are skipped.
func LoadSite(dirs ...string) (*Site, error) {
	s := &Site{values: make(map[string]property)}
	seen := make(map[string]bool)
	for _, dir := range dirs {
		if dir == "" || seen[filepath.Clean(dir)] {
			continue
		}
		seen[filepath.Clean(dir)] = true
		if err := s.loadDir(dir); err != nil {
			return nil, fmt.Errorf("load Hadoop configuration: %w", err)
		}
	}
	return s, nil
}

func (s *Site) loadDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	for _, name := range siteFiles {
		path := filepath.Join(dir, name)
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = s.read(f, path)
		f.Close()
		if err != nil {
			return err
		}
		s.sources = append(s.sources, path)
	}
	return nil
}

// ParseSite reads one site file, such as WriteXML made. The source names it in
// messages.
func ParseSite(r io.Reader, source string) (*Site, error) {
	s := &Site{values: make(map[string]property)}
	if err := s.read(r, source); err != nil {
		return nil, fmt.Errorf("load Hadoop configuration: %w", err)
	}
	s.sources = append(s.sources, source)
	return s, nil
}

// xmlProperty is one property in a site file; XMLName tells it from an include.
type xmlProperty struct {
	XMLName xml.Name
	Name    string  `xml:"name"`
	Value   *string `xml:"value"`
	Final   string  `xml:"final"`
	// Newer files may use attributes instead of elements.
	NameAttr  string  `xml:"name,attr"`
	ValueAttr *string `xml:"value,attr"`
	FinalAttr string  `xml:"final,attr"`
}

type xmlConfiguration struct {
	XMLName  xml.Name      `xml:"configuration"`
	Elements []xmlProperty `xml:",any"`
}

func (s *Site) read(r io.Reader, source string) error {
	limited := &io.LimitedReader{R: r, N: maxSiteFile + 1}
	var doc xmlConfiguration
	if err := xml.NewDecoder(limited).Decode(&doc); err != nil {
		return fmt.Errorf("read %s: %w", source, err)
	}
	if limited.N == 0 {
		return fmt.Errorf("read %s: more than %d bytes", source, maxSiteFile)
	}
	file := make(map[string]property)
	for _, e := range doc.Elements {
		switch e.XMLName.Local {
		case "property":
			if err := e.addTo(file, source); err != nil {
				return err
			}
		case "include":
			return fmt.Errorf("read %s: xi:include is not supported, put the included properties into the file", source)
		default:
			return fmt.Errorf("read %s: unexpected element <%s>, want <property>", source, e.XMLName.Local)
		}
	}
	for name, p := range file {
		if !s.values[name].final {
			s.values[name] = p
		}
	}
	return nil
}

func (e *xmlProperty) addTo(file map[string]property, source string) error {
	name, value, final := e.Name, e.Value, e.Final
	if e.NameAttr != "" {
		name = e.NameAttr
	}
	if e.ValueAttr != nil {
		value = e.ValueAttr
	}
	if e.FinalAttr != "" {
		final = e.FinalAttr
	}
	if name = strings.TrimSpace(name); name == "" {
		return fmt.Errorf("read %s: a <property> has no <name>", source)
	}
	if value == nil || file[name].final {
		return nil // no value: Hadoop ignores the property
	}
	file[name] = property{value: *value, final: strings.TrimSpace(final) == "true", source: source}
	return nil
}

// WriteXML writes the properties that Names lists as one site file, with
// variables expanded, since the reader lives on another machine.
func (s *Site) WriteXML(w io.Writer) error {
	type out struct {
		Name  string `xml:"name"`
		Value string `xml:"value"`
		Final bool   `xml:"final,omitempty"`
	}
	doc := struct {
		XMLName    xml.Name `xml:"configuration"`
		Properties []out    `xml:"property"`
	}{}
	for _, name := range s.Names() {
		doc.Properties = append(doc.Properties, out{Name: name, Value: s.Get(name), Final: s.values[name].final})
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write Hadoop configuration: %w", err)
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("write Hadoop configuration: %w", err)
	}
	return nil
}

// MarshalJSON writes the same as WriteXML as a JSON object of strings.
func (s *Site) MarshalJSON() ([]byte, error) {
	m := make(map[string]string, len(s.values))
	for name := range s.values {
		m[name] = s.Get(name)
	}
	return json.Marshal(m)
}

// UnmarshalJSON reads what MarshalJSON wrote into s, which must be new.
func (s *Site) UnmarshalJSON(b []byte) error {
	var m map[string]string
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("load Hadoop configuration: %w", err)
	}
	s.values = make(map[string]property, len(m))
	for name, v := range m {
		s.values[name] = property{value: v, source: "JSON"}
	}
	return nil
}

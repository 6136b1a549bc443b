package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	confPath = "github.com/weftstream/weft/conf"
	confDir  = "conf"
)

// option is a variable of package conf.
type option struct {
	key  string
	read bool
}

// writeUnread lists the keys of the options declared in root/conf whose variable no other Go file below root, tests
// aside, mentions.
func writeUnread(out io.Writer, root string) error {
	options := map[string]*option{}
	err := goFiles(root, func(path string, file *ast.File) {
		if filepath.Dir(path) == filepath.Join(root, confDir) {
			declaredIn(file, options)
		}
	})
	if err != nil {
		return err
	}
	err = goFiles(root, func(path string, file *ast.File) {
		if !strings.HasPrefix(path, filepath.Join(root, "internal", "confdoc")) {
			readIn(file, options)
		}
	})
	if err != nil {
		return err
	}
	var keys []string
	for _, o := range options {
		if !o.read && o.key != "" {
			keys = append(keys, o.key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if _, err := fmt.Fprintln(out, key); err != nil {
			return err
		}
	}
	return nil
}

func goFiles(root string, each func(path string, file *ast.File)) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("look for options in %s: %w", path, err)
		}
		each(path, file)
		return nil
	})
}

// declaredIn adds the options a file of package conf declares: its exported variables, whose key is the first string in
// their value. Functions of the package that mention an option (budgets) count as readers.
func declaredIn(file *ast.File, options map[string]*option) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.VAR && v.Names[0].IsExported() && len(v.Values) == 1 {
					entry(options, v.Names[0].Name).key = firstString(v.Values[0])
				}
			}
		case *ast.FuncDecl:
			ast.Inspect(d, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && id.IsExported() {
					entry(options, id.Name).read = true
				}
				return true
			})
		}
	}
}

// entry is the option of a name, made without a key if it is not known yet: files come in any order.
func entry(options map[string]*option, name string) *option {
	if options[name] == nil {
		options[name] = &option{}
	}
	return options[name]
}

func firstString(e ast.Expr) string {
	found := ""
	ast.Inspect(e, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && found == "" {
			found, _ = strconv.Unquote(lit.Value)
		}
		return found == ""
	})
	return found
}

func readIn(file *ast.File, options map[string]*option) {
	local := ""
	for _, imp := range file.Imports {
		if path, _ := strconv.Unquote(imp.Path.Value); path == confPath {
			local = "conf"
			if imp.Name != nil {
				local = imp.Name.Name
			}
		}
	}
	if local == "" {
		return
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := s.X.(*ast.Ident); ok && id.Name == local {
				if o := options[s.Sel.Name]; o != nil {
					o.read = true
				}
			}
		}
		return true
	})
}

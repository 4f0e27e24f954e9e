package layering

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Violation is one place that breaks a rule.
type Violation struct {
	File   string // below the module's root
	Line   int
	What   string
	Reason string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", v.File, v.Line, v.What, v.Reason)
}

// Check reads all Go files of a module, tests and testdata excepted. It fails on what can't be parsed.
func Check(module string, root fs.FS) ([]Violation, error) {
	var found []Violation
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); base == "testdata" || base == "vendor" || base != "." && strings.HasPrefix(base, ".") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := read(module, root, name)
		if err != nil {
			return err
		}
		found = append(found, f.check()...)
		return nil
	})
	return found, err
}

// file is a parsed file and where it belongs.
type file struct {
	module string
	name   string
	pkg    string // below the module's root; "" is the root
	fset   *token.FileSet
	tree   *ast.File
	found  []Violation
}

func read(module string, root fs.FS, name string) (*file, error) {
	source, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, err
	}
	f := &file{module: module, name: name, pkg: path.Dir(name), fset: token.NewFileSet()}
	if f.pkg == "." {
		f.pkg = ""
	}
	f.tree, err = parser.ParseFile(f.fset, name, source, parser.SkipObjectResolution)
	return f, err
}

func (f *file) check() []Violation {
	if forTests(f.pkg) {
		return nil
	}
	own := layerOf(f.pkg)
	if own < 0 {
		f.report(f.tree.Name, "package "+f.pkg+" has no layer", "every package has its place in rules.go")
		return f.found
	}
	for _, spec := range f.tree.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		f.checkOrder(spec, own, imported)
		f.checkLibrary(spec, imported)
		if layers[own].deterministic {
			f.checkBanned(spec, imported)
		}
	}
	if layers[own].deterministic {
		f.checkCode()
	}
	return f.found
}

func (f *file) report(at ast.Node, what, reason string) {
	f.found = append(f.found, Violation{f.name, f.fset.Position(at.Pos()).Line, what, reason})
}

// checkOrder holds imports of the module's own packages to the order of layers.
func (f *file) checkOrder(at ast.Node, own int, imported string) {
	target, inside := below(f.module, imported)
	if !inside {
		return
	}
	if forTests(target) && own > 0 {
		f.report(at, fmt.Sprintf("%s imports %s", shown(f.pkg), shown(target)), testPackageReason)
		return
	}
	to := layerOf(target)
	if to < 0 || to > own || to == own && nameOf(target) == nameOf(f.pkg) {
		return // a package without a layer is reported where it is
	}
	f.report(at, fmt.Sprintf("%s imports %s", shown(f.pkg), shown(target)), orderReason)
}

func (f *file) checkLibrary(at ast.Node, imported string) {
	if within(f.pkg, layers[0].packages) {
		return
	}
	for _, rule := range libraries {
		if matches(rule.library, imported) && !within(f.pkg, rule.by) {
			f.report(at, fmt.Sprintf("%s imports %s", shown(f.pkg), imported), rule.reason)
		}
	}
}

func (f *file) checkBanned(at *ast.ImportSpec, imported string) {
	for _, rule := range bannedImports {
		if matches(rule.library, imported) && !within(f.pkg, rule.except) {
			f.report(at, fmt.Sprintf("%s imports %s", shown(f.pkg), imported), rule.reason)
		}
	}
	if bannedNames[imported] != nil && at.Name != nil && at.Name.Name == "." {
		f.report(at, fmt.Sprintf("%s imports %s without its name", shown(f.pkg), imported), "so it can't be seen what it uses")
	}
}

// checkCode looks for clocks and goroutines.
func (f *file) checkCode() {
	imports := f.importNames()
	ast.Inspect(f.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if !excepted(f.pkg, "go") {
				f.report(n, shown(f.pkg)+" starts a goroutine", goReason)
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok {
				f.checkName(n, imports[x.Name], n.Sel.Name)
			}
		}
		return true
	})
}

func (f *file) checkName(at ast.Node, imported, name string) {
	reason, what := bannedNames[imported][name], imported+"."+name
	if reason != "" && !excepted(f.pkg, what) {
		f.report(at, fmt.Sprintf("%s uses %s", shown(f.pkg), what), reason)
	}
}

// importNames are the import paths by the names that they have in this file.
func (f *file) importNames() map[string]string {
	m := map[string]string{}
	for _, spec := range f.tree.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		m[name] = imported
	}
	return m
}

// layerOf is the index in layers of the layer to which a package belongs, -1 for none.
func layerOf(pkg string) int {
	name := nameOf(pkg)
	return slices.IndexFunc(layers, func(l layer) bool { return slices.Contains(l.packages, name) })
}

// nameOf is the longest path in the table that is the package's or above it.
func nameOf(pkg string) string {
	for name := pkg; name != "." && name != ""; name = path.Dir(name) {
		if slices.ContainsFunc(layers, func(l layer) bool { return slices.Contains(l.packages, name) }) {
			return name
		}
	}
	if pkg == "" {
		return ""
	}
	return "no layer"
}

// forTests tells whether a package is one that only tests use.
func forTests(pkg string) bool { return strings.HasSuffix(pkg, "test") }

// within tells whether a package is one of those, or below one of them.
func within(pkg string, of []string) bool {
	return slices.ContainsFunc(of, func(p string) bool { return pkg == p || p != "" && strings.HasPrefix(pkg, p+"/") })
}

// matches tells whether an import path is, or lies below, the one of a rule.
func matches(rule, imported string) bool {
	return imported == rule || strings.HasPrefix(imported, rule+"/")
}

// below is the path of an imported package below the module's root.
func below(module, imported string) (string, bool) {
	if imported == module {
		return "", true
	}
	return strings.CutPrefix(imported, module+"/")
}

func shown(pkg string) string {
	if pkg == "" {
		return "main"
	}
	return pkg
}

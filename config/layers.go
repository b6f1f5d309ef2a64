package config

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/maps"

	"github.com/plait-mcp/plait/config/tree"
)

// Bounds of layers.
const (
	maxLayers     = 32
	maxLayerDepth = 8
)

// layer is one file of those that make the configuration.
type layer struct {
	name   string // as problems show it
	dir    string // where its relative paths start, absolute; "" for a remote one
	own    bool   // see isOwn
	local  bool   // it is for this machine only: plait.local.yaml
	remote bool
	root   *tree.Node
}

// newLayer returns the layer of a file on this machine.
func newLayer(name, path string) *layer {
	return &layer{name: name, dir: filepath.Dir(path), own: isOwn(name), local: isLocal(name)}
}

// readLayers reads the file whose content is data, and what it extends.
func (l *loader) readLayers(ctx context.Context, data []byte) {
	l.addLayer(ctx, newLayer(l.name, l.path), data, []string{l.path})
}

// readLocal reads the local file beside a file of plait, if there is one.
func (l *loader) readLocal(ctx context.Context) {
	if !isOwn(l.name) || isLocal(l.name) {
		return
	}
	var found []string
	stem := strings.TrimSuffix(l.path, filepath.Ext(l.path))
	for _, ext := range []string{".yaml", ".yml", ".toml", ".json", ".jsonc"} {
		path := stem + ".local" + ext
		l.look(path)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		return
	}
	name := filepath.Join(filepath.Dir(l.name), filepath.Base(found[0]))
	if len(found) > 1 {
		l.problems = append(l.problems, tree.WholeFile(name, IDNoFile, "stands beside "+filepath.Base(found[1]), "keep one of them")...)
		return
	}
	content, err := tree.ReadFile(found[0], tree.MaxSize)
	if err != nil {
		l.problems = append(l.problems, tree.FileProblem(name, err)...)
		return
	}
	l.addLayer(ctx, newLayer(name, found[0]), content, []string{l.path, found[0]})
}

// addLayer adds the layers that y extends and then y itself. The chain says which files led here, y last.
func (l *loader) addLayer(ctx context.Context, y *layer, data []byte, chain []string) {
	root, bad := tree.Parse(y.name, data)
	if len(bad) > 0 {
		l.problems = append(l.problems, bad...)
		return
	}
	if root.Kind != tree.Map && root.Kind != tree.Null {
		l.problems = append(l.problems, Problem{
			ID: IDKind, Pos: root.Pos, Msg: fmt.Sprintf("the file holds %s", root.Kind), Hint: "write a map with the key mcpServers",
		})
		return
	}
	y.root = root
	for _, m := range root.Members {
		if canonical(reflect.TypeFor[file](), m.Key) != "extends" || !y.own && !fitsExtends(m.Value) {
			continue
		}
		at := place{layer: y}.child(m.Key, m.Pos)
		if m.Value.Kind != tree.List {
			l.extend(ctx, m.Value, at, chain)
			continue
		}
		for i, item := range m.Value.Items {
			l.extend(ctx, item, at.index(i, item.Pos), chain)
		}
	}
	l.layers = append(l.layers, y)
}

// fitsExtends tells whether a value may be that of extends: other programs have such a key, too.
func fitsExtends(n *tree.Node) bool {
	one := func(n *tree.Node) bool { return n.Kind == tree.Text || n.Kind == tree.Map }
	return one(n) || n.Kind == tree.List && !slices.ContainsFunc(n.Items, func(item *tree.Node) bool { return !one(item) })
}

// extend adds the layer that one element of extends names.
func (l *loader) extend(ctx context.Context, n *tree.Node, at place, chain []string) {
	switch {
	case len(chain) > maxLayerDepth:
		l.report(at, IDExtends, fmt.Sprintf("layers extend each other more than %d levels deep", maxLayerDepth), "write fewer")
	case len(l.layers) >= maxLayers:
		l.report(at, IDExtends, fmt.Sprintf("there are more than %d layers", maxLayers), "write fewer")
	case n.Kind == tree.Map:
		l.extendRemote(ctx, n, at, chain)
	case n.Kind == tree.Text:
		l.extendFile(ctx, n, at, chain)
	case n.Kind == tree.Null:
	default:
		l.report(at, IDKind, fmt.Sprintf("is %s", n.Kind), "write the path of a file, or {url: https://…, sha256: …}")
	}
}

func (l *loader) extendFile(ctx context.Context, n *tree.Node, at place, chain []string) {
	name, ok := l.expanded(ctx, n, at)
	if !ok {
		return
	}
	if strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "http://") {
		l.report(at, IDSHA256, "a remote layer needs its sha256", "write {url: https://…, sha256: …}")
		return
	}
	if at.layer.remote {
		l.report(at, IDRemotePath, "a remote layer extends a file of this machine", "write {url: https://…, sha256: …}")
		return
	}
	path, err := l.absolute(name, at)
	if err != nil {
		l.add(at, asExpandError(err).problem())
		return
	}
	if i := slices.Index(chain, path); i >= 0 {
		l.circle(at, chain[i:])
		return
	}
	l.look(path)
	data, err := tree.ReadFile(path, tree.MaxSize)
	if err != nil {
		l.report(at, IDFile, unreadable(n.Scalar, err), "check the path")
		return
	}
	shown := name
	if !filepath.IsAbs(shown) && !strings.HasPrefix(shown, "~") {
		shown = filepath.Join(filepath.Dir(at.layer.name), shown)
	}
	l.addLayer(ctx, newLayer(shown, path), data, append(slices.Clip(chain), path))
}

// circle reports a layer that leads back to itself.
func (l *loader) circle(at place, chain []string) {
	if len(chain) == 1 {
		l.report(at, IDExtends, "the file extends itself", "remove it")
		return
	}
	var names []string
	for _, path := range append(slices.Clone(chain), chain[0]) {
		names = append(names, filepath.Base(path))
	}
	l.report(at, IDExtends, "goes in a circle: "+strings.Join(names, " extends "), "remove one of them")
}

// prune removes what is nil.
func prune(values map[string]any) {
	for key, value := range values {
		switch value := value.(type) {
		case nil:
			delete(values, key)
		case map[string]any:
			prune(value)
		}
	}
}

// withDefaults returns the entry of a server over those defaults that have a meaning for its kind.
func (l *loader) withDefaults(entry map[string]any) map[string]any {
	defaults, _ := l.values["defaults"].(map[string]any)
	if len(defaults) == 0 {
		return entry
	}
	meaningless := []string{"env", "inheritEnv", "cwd"}
	if entry["command"] != nil && entry["url"] == nil {
		meaningless = []string{"headers", "transport", "allowHttp", "caFile", "clientCert", "serverStream", "identity"}
	}
	merged := map[string]any{}
	for key, value := range defaults {
		if !slices.Contains(meaningless, key) {
			merged[key] = copied(value)
		}
	}
	maps.Merge(entry, merged)
	return merged
}

// copied returns a value whose maps are not those of value.
func copied(value any) any {
	m, ok := value.(map[string]any)
	if !ok {
		return value
	}
	other := make(map[string]any, len(m))
	for key, v := range m {
		other[key] = copied(v)
	}
	return other
}

package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/plait-mcp/plait/config/tree"
)

// Find returns the file to load when none is named: $PLAIT_CONFIG, else plait.{yaml,yml,toml,json} in the folder
// plait of the user's config folder. It never looks into the current folder: a file that merely lies there could
// run commands. No file and more than one are both an error, of type Problems, that says what to do.
func Find(lookupEnv func(string) (string, bool)) (string, error) {
	if path, _ := lookupEnv("PLAIT_CONFIG"); path != "" {
		return path, nil
	}
	folder, err := userFolder(lookupEnv)
	if err != nil {
		wrong := asExpandError(err)
		return "", Problems{{ID: wrong.id, Msg: wrong.msg, Hint: wrong.hint}}
	}
	var found []string
	for _, ext := range []string{"yaml", "yml", "toml", "json"} {
		path := filepath.Join(folder, "plait."+ext)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			found = append(found, path)
		}
	}
	switch len(found) {
	case 0:
		return "", Problems{{
			ID: IDNoFile, Msg: "there is no configuration file",
			Hint: fmt.Sprintf("write %s (plait add and plait import do), or name one with --config FILE or $PLAIT_CONFIG", filepath.Join(folder, "plait.yaml")),
		}}
	case 1:
		return found[0], nil
	}
	return "", tree.WholeFile(found[0], IDNoFile, "stands beside "+strings.Join(found[1:], " and "), "keep one of them, or name one with --config FILE")
}

// FindOrNew is Find, but where there is no file it returns the one to make.
func FindOrNew(lookupEnv func(string) (string, bool)) (string, error) {
	found, wrong := Find(lookupEnv)
	if wrong == nil {
		return found, nil
	}
	folder, err := userFolder(lookupEnv)
	if err != nil {
		return "", wrong
	}
	if ps, ok := errors.AsType[Problems](wrong); ok && ps[0].Pos.File != "" { // there are several
		return "", wrong
	}
	return filepath.Join(folder, "plait.yaml"), nil
}

package store

import (
	"encoding/hex"
	"errors"
	"strings"

	"github.com/99designs/keyring"
	"github.com/godbus/dbus"
)

// The Secret Service (freedesktop.org, Secret Service API Draft 0.2).
const (
	secretsName   = "org.freedesktop.secrets"
	secretsPath   = dbus.ObjectPath("/org/freedesktop/secrets")
	collections   = "/org/freedesktop/secrets/collection/"
	login         = dbus.ObjectPath(collections + "login")
	none          = dbus.ObjectPath("/")
	service       = "org.freedesktop.Secret.Service"
	collection    = "org.freedesktop.Secret.Collection"
	prompt        = "org.freedesktop.Secret.Prompt"
	completed     = prompt + ".Completed"
	nameHasNoOne  = "org.freedesktop.DBus.Error.ServiceUnknown"
	unknownObject = "org.freedesktop.DBus.Error.UnknownObject"
	unknownMethod = "org.freedesktop.DBus.Error.UnknownMethod"
	noSuchObject  = "org.freedesktop.Secret.Error.NoSuchObject"
)

// openEntry opens the default collection, which is the one that the login unlocks. One that is locked is left alone,
// unless the question is to unlock it: nobody must be asked for a password out of the blue. KWallet is reached as a
// Secret Service, too; its own interface is not used.
func openEntry(q request) (*entry, error) {
	bus, err := dbus.SessionBus()
	if err != nil {
		return nil, &KeyringError{Reason: ReasonAbsent, Detail: "no session bus"}
	}
	path, err := defaultCollection(bus)
	if err != nil {
		return nil, err
	}
	value, err := bus.Object(secretsName, path).GetProperty(collection + ".Locked")
	if err != nil {
		return nil, busError(err)
	}
	if locked, ok := value.Value().(bool); !ok || locked {
		if q.Op != opUnlock {
			return nil, &KeyringError{Reason: ReasonLocked}
		}
		if err := unlock(bus, path); err != nil {
			return nil, err
		}
	}
	ring, err := keyring.Open(keyring.Config{
		AllowedBackends:         []keyring.BackendType{keyring.SecretServiceBackend},
		LibSecretCollectionName: decodePath(strings.TrimPrefix(string(path), collections)),
	})
	name := q.Service + "/" + q.Key
	return &entry{ring: ring, key: name, label: name}, err
}

// defaultCollection returns the collection behind the alias "default", or the one that GNOME makes for the login.
func defaultCollection(bus *dbus.Conn) (dbus.ObjectPath, error) {
	var path dbus.ObjectPath
	err := bus.Object(secretsName, secretsPath).Call(service+".ReadAlias", 0, "default").Store(&path)
	if err != nil {
		return "", busError(err)
	}
	if path == none {
		path = login
	}
	return path, nil
}

// unlock has the service ask the person, and waits.
func unlock(bus *dbus.Conn, path dbus.ObjectPath) error {
	var unlocked []dbus.ObjectPath
	var ask dbus.ObjectPath
	signals := make(chan *dbus.Signal, 16)
	bus.Signal(signals)
	defer bus.RemoveSignal(signals)
	err := bus.Object(secretsName, secretsPath).Call(service+".Unlock", 0, []dbus.ObjectPath{path}).Store(&unlocked, &ask)
	if err != nil {
		return busError(err)
	}
	if ask == none {
		return nil
	}
	match := "type='signal',interface='" + prompt + "',path='" + string(ask) + "'"
	if err := bus.BusObject().Call("org.freedesktop.DBus.AddMatch", 0, match).Err; err != nil {
		return busError(err)
	}
	if err := bus.Object(secretsName, ask).Call(prompt+".Prompt", 0, "").Err; err != nil {
		return busError(err)
	}
	for s := range signals {
		if s.Path != ask || s.Name != completed || len(s.Body) == 0 {
			continue
		}
		if dismissed, ok := s.Body[0].(bool); !ok || dismissed {
			return &KeyringError{Reason: ReasonLocked, Detail: "nobody unlocked it"}
		}
		return nil
	}
	return &KeyringError{Reason: ReasonBroken, Detail: "the session bus ended"}
}

// busError says whether there is no service, no collection, or something else is wrong.
func busError(err error) error {
	var e dbus.Error
	if !errors.As(err, &e) {
		return &KeyringError{Reason: ReasonBroken, Detail: err.Error()}
	}
	switch e.Name {
	case nameHasNoOne:
		return &KeyringError{Reason: ReasonAbsent, Detail: "no Secret Service"}
	case unknownObject, unknownMethod, noSuchObject:
		return &KeyringError{Reason: ReasonAbsent, Detail: "the Secret Service has no default collection"}
	}
	return &KeyringError{Reason: ReasonBroken, Detail: e.Name}
}

// decodePath undoes the writing of bytes as _XX in object paths.
func decodePath(name string) string {
	var out strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '_' && i+2 < len(name) {
			if b, err := hex.DecodeString(name[i+1 : i+3]); err == nil {
				out.Write(b)
				i += 2
				continue
			}
		}
		out.WriteByte(name[i])
	}
	return out.String()
}

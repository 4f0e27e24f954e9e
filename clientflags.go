package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"kahuna/client"
	"kahuna/config"
)

// clientFlags are those of every command that talks to a server.
func clientFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "addr", Usage: "HOST:PORT of a server, or several with commas: the next is tried when one does not answer [$KAHUNA_ADDR]",
			DefaultText: "$KAHUNA_LISTEN, else " + config.Default().Listen},
		&cli.StringFlag{Name: "user", Usage: "who to log in as [$KAHUNA_USER]", DefaultText: "the default user"},
		&cli.StringFlag{Name: "password", Usage: "log in with this password; better in the environment, where other users can't see it [$KAHUNA_PASSWORD]", DefaultText: "none"},
		&cli.BoolFlag{Name: "tls", Usage: "use TLS [$KAHUNA_TLS=1]"},
		&cli.StringFlag{Name: "tls-ca", Usage: "file of the certificates (PEM) to trust; implies --tls [$KAHUNA_TLS_CA]", DefaultText: "the machine's"},
		&cli.StringFlag{Name: "tls-cert", Usage: "file of the client's certificate (PEM); implies --tls [$KAHUNA_TLS_CERT]", DefaultText: "none"},
		&cli.StringFlag{Name: "tls-key", Usage: "file of the key of that (PEM) [$KAHUNA_TLS_KEY]", DefaultText: "the file of --tls-cert"},
	}
}

// jsonFlag is that of the commands that print.
func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON"} }

const callTimeoutDefault = 10 * time.Second

// unreachablePatience is how long a call waits for a server that can't be connected to, as one that is being restarted.
const unreachablePatience = 3 * time.Second

func timeoutFlag() cli.Flag {
	return &cli.DurationFlag{Name: "timeout", Usage: fmt.Sprintf("how long to try; at most %v when no server can be connected to", unreachablePatience), Value: callTimeoutDefault}
}

// variable is what the environment says about a client flag, else empty.
func (p program) variable(flag string) string {
	prefix := variableOf(flag) + "="
	for _, entry := range slices.Backward(p.environ) {
		if value, ok := strings.CutPrefix(entry, prefix); ok {
			return value
		}
	}
	return ""
}

// clientVariable tells whether an environment variable is one for clients: of a client flag, or what kahuna lock tells its command.
func clientVariable(name string) bool {
	return strings.HasPrefix(name, config.EnvPrefix+"LOCK_") || slices.ContainsFunc(clientFlags(), func(f cli.Flag) bool {
		return variableOf(f.Names()[0]) == name
	})
}

// variableOf is the environment variable of a client flag.
func variableOf(flag string) string {
	return config.EnvPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// option is a client flag, else what the environment says.
func (p program) option(c *cli.Context, flag string) string {
	if c.IsSet(flag) {
		return c.String(flag)
	}
	return p.variable(flag)
}

// clientOptions are where and as whom to connect.
func (p program) clientOptions(c *cli.Context) (client.Options, error) {
	addrs, err := p.addresses(c)
	if err != nil {
		return client.Options{}, usage(err)
	}
	o := client.Options{Addrs: addrs, User: p.option(c, "user"), Password: p.option(c, "password")}
	if o.User != "" && o.Password == "" {
		return client.Options{}, usage(errors.New("--user needs a password (KAHUNA_PASSWORD)"))
	}
	if o.TLS, err = p.tlsConfig(c); err != nil {
		return client.Options{}, usage(err)
	}
	return o, nil
}

// addresses are those of --addr or KAHUNA_ADDR, else that of the server which the settings in the environment would start.
func (p program) addresses(c *cli.Context) ([]string, error) {
	var addrs []string
	for addr := range strings.SplitSeq(p.option(c, "addr"), ",") {
		if addr = strings.TrimSpace(addr); addr == "" {
			continue
		}
		if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
			return nil, fmt.Errorf("--addr: %q is not HOST:PORT", addr)
		}
		addrs = append(addrs, addr)
	}
	if len(addrs) > 0 {
		return addrs, nil
	}
	cfg, err := config.Load(config.Sources{Flag: noFlag, Environ: onlyListen(p.environ)})
	if err != nil {
		return nil, err
	}
	return []string{reachable(cfg.Listen)}, nil
}

// tlsConfig is nil without TLS.
func (p program) tlsConfig(c *cli.Context) (*tls.Config, error) {
	ca, cert, key := p.option(c, "tls-ca"), p.option(c, "tls-cert"), p.option(c, "tls-key")
	on := c.Bool("tls") || !c.IsSet("tls") && p.variable("tls") == "1"
	if !on && ca == "" && cert == "" {
		return p.ownTLS(c)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--tls-ca: there is no certificate in %s", ca)
		}
	}
	if cert != "" {
		if key == "" {
			key = cert
		}
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// ownTLS is for the server of the same environment, as in a container, when that is the one asked and speaks TLS: it must show the
// certificate that its settings name, whatever name that is for. Else it is nil.
func (p program) ownTLS(c *cli.Context) (*tls.Config, error) {
	on, _ := strconv.ParseBool(p.variable("listen-tls"))
	if !on || p.option(c, "addr") != "" || c.IsSet("tls") {
		return nil, nil
	}
	own, err := tls.LoadX509KeyPair(p.variable("tls-cert-file"), p.variable("tls-key-file"))
	if err != nil {
		return nil, fmt.Errorf("KAHUNA_TLS_CERT_FILE and KAHUNA_TLS_KEY_FILE: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}, InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error { // in place of what is skipped
			if !bytes.Equal(s.PeerCertificates[0].Raw, own.Certificate[0]) {
				return errors.New("the server shows another certificate than that of KAHUNA_TLS_CERT_FILE")
			}
			return nil
		}}, nil
}

// clientCommand is a command whose flags may stand before, between and behind its arguments. What follows -- is never a flag.
func clientCommand(name, arguments, text string, flags []cli.Flag, action func(c *cli.Context, args, rest []string) error) *cli.Command {
	return &cli.Command{
		Name:            name,
		Usage:           text,
		ArgsUsage:       arguments,
		Flags:           flags,
		SkipFlagParsing: true, // it would end at the first argument
		HideHelpCommand: true, // or nothing could be named help
		Action: func(c *cli.Context) error {
			set := flag.NewFlagSet(name, flag.ContinueOnError)
			set.SetOutput(io.Discard)
			for _, f := range flags {
				if err := f.Apply(set); err != nil {
					return err
				}
			}
			args, rest := c.Args().Slice(), []string(nil)
			if i := slices.Index(args, "--"); i >= 0 {
				args, rest = args[:i], args[i+1:]
			}
			args, err := anywhere(set, args)
			if errors.Is(err, flag.ErrHelp) {
				return cli.ShowSubcommandHelp(c)
			}
			parsed := cli.NewContext(c.App, set, c)
			parsed.Command = c.Command
			if err != nil {
				return usageError(parsed, err, true)
			}
			return action(parsed, args, rest)
		},
	}
}

// anywhere takes flags out of arguments wherever they stand.
func anywhere(set *flag.FlagSet, args []string) (others []string, err error) {
	for {
		if err := set.Parse(args); err != nil {
			return nil, err
		}
		if set.NArg() == 0 {
			return others, nil
		}
		others = append(others, set.Arg(0))
		args = set.Args()[1:]
	}
}

// group is a command that only has commands of its own.
func group(name, text string, commands ...*cli.Command) *cli.Command {
	return &cli.Command{
		Name:         name,
		Usage:        text,
		OnUsageError: usageError,
		Subcommands:  commands,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usage(fmt.Errorf("there is no command %q; see kahuna %s --help", name+" "+c.Args().First(), name))
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

// call sends one command and gives its reply. It is repeated while nothing was changed; repeatable: also when its end is unknown.
func (p program) call(c *cli.Context, repeatable bool, args ...string) (client.Reply, error) {
	reply, _, err := p.attempts(c, repeatable, args)
	return reply, clientFailure(err)
}

// read is call for what changes nothing: that its end is unknown only means that there is no answer. When the time ends in the middle of an
// attempt, the error is what the server said to an earlier one, which tells more.
func (p program) read(c *cli.Context, args ...string) (client.Reply, error) {
	reply, said, err := p.attempts(c, true, args)
	if !client.Uncertain(err) {
		return reply, clientFailure(err)
	}
	if said != nil {
		err = said
	}
	return reply, &failure{exitUnavailable, err}
}

// attempts sends a command until it has a reply, or for the time of --timeout. said is the last error of a server that changed nothing.
func (p program) attempts(c *cli.Context, repeatable bool, args []string) (reply client.Reply, said, err error) {
	o, err := p.clientOptions(c)
	if err != nil {
		return client.Reply{}, nil, err
	}
	cl := client.New(o)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	err = cl.Try(ctx, client.Policy{Unreachable: unreachablePatience, Repeatable: repeatable}, func(ctx context.Context) (err error) {
		reply, err = cl.Do(ctx, args...)
		if server := (*client.ServerError)(nil); errors.As(err, &server) && client.Unchanged(err) {
			said = err
		}
		return err
	})
	return reply, said, hintTLS(&o, err)
}

// hintTLS says what to do about a server that ends the connection at the first word without TLS.
func hintTLS(o *client.Options, err error) error {
	broken := (*client.BrokenError)(nil)
	if o.TLS == nil && errors.As(err, &broken) && errors.Is(err, io.EOF) {
		return fmt.Errorf("%w (if it speaks TLS, use --tls or --tls-ca)", err)
	}
	return err
}

// clientFailure gives an error of the client its exit code.
func clientFailure(err error) error {
	server := (*client.ServerError)(nil)
	switch {
	case err == nil:
		return nil
	case client.Unchanged(err):
		return &failure{exitUnavailable, err}
	case client.Uncertain(err):
		return &failure{exitUncertain, err}
	case errors.As(err, &server) && slices.Contains([]string{"NOAUTH", "WRONGPASS", "NOPERM"}, server.Prefix()):
		return &failure{exitNoPermission, err}
	case errors.As(err, &server):
		return &failure{exitRefused, err}
	}
	return err
}

// newOwner is a name that nobody else has: the machine, the process, and chance.
func newOwner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	var b [8]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%s:%d:%s", host, os.Getpid(), hex.EncodeToString(b[:]))
}

package bench

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/internal/wiretap"
)

// ErrVerifiesName is the error of a detour around a check that it would break.
var ErrVerifiesName = errors.New("sslmode=verify-full checks the name of the server, but the connections go to a proxy of another name: " +
	"use sslmode=verify-ca with a certificate file for this run (sslrootcert=system means verify-full)")

// ErrManyServers is the error of a detour to a choice of servers.
var ErrManyServers = errors.New("the URL names several servers; a delay needs one")

// Detour is a way to a PostgreSQL server through a proxy in this process that adds to the time of every round trip and
// counts them.
type Detour struct {
	*wiretap.Proxy
	// URL names the same database by way of the proxy.
	URL string
}

// NewDetour starts a proxy to the server of a URL. Close it at the end. Encryption passes the proxy as it is, from end to
// end; then there is nothing to count.
func NewDetour(dsn string, rtt time.Duration) (*Detour, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	for _, f := range config.Fallbacks {
		if f.Host != config.Host || f.Port != config.Port {
			return nil, ErrManyServers
		}
	}
	if config.TLSConfig != nil && !config.TLSConfig.InsecureSkipVerify {
		return nil, ErrVerifiesName
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, errors.New("not a URL") // the error would show it, password and all
	}
	target := net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	unix := len(config.Host) > 0 && config.Host[0] == '/'
	if unix {
		target = fmt.Sprintf("%s/.s.PGSQL.%d", config.Host, config.Port)
	}
	proxy, err := wiretap.Listen(target)
	if err != nil {
		return nil, err
	}
	proxy.SetDelay(rtt)
	u.Host = proxy.Addr()
	// The password may come from where it is looked up by host and port, which are the proxy's now.
	u.User = url.User(config.User)
	if config.Password != "" {
		u.User = url.UserPassword(config.User, config.Password)
	}
	q := u.Query()
	for _, parameter := range []string{"host", "hostaddr", "port", "user", "password"} {
		q.Del(parameter)
	}
	if unix { // which are never encrypted
		q.Set("sslmode", "disable")
	}
	if config.ConnectTimeout > 0 { // connecting takes several round trips
		q.Set("connect_timeout", strconv.Itoa(int(math.Ceil((config.ConnectTimeout + 10*rtt).Seconds()))))
	}
	u.RawQuery = q.Encode()
	return &Detour{Proxy: proxy, URL: u.String()}, nil
}

/** The names under which the hub may be reached, exactly as they stand in a request. */
export interface Addresses {
  /** Whether a `Host` header names this hub. */
  host(header: string | undefined): boolean;
  /** Whether an `Origin` header is absent (no browser) or one of this hub's own pages. */
  origin(header: string | undefined): boolean;
}

const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"];

/**
 * Exact lists: a page on another port, a name that only begins like ours, or one that resolves to
 * this machine is foreign. `names` are other names that the person configured, with or without a
 * port; `port` is the one that the hub listens on.
 */
export function addressesOf(names: readonly string[], port: number): Addresses {
  const others = names.map((name) => name.toLowerCase());
  const hosts = new Set([
    ...LOOPBACK.map((name) => `${name}:${port}`),
    ...(port === 80 ? LOOPBACK : []),
    ...others,
    ...others.filter((name) => !/:\d+$/.test(name)).map((name) => `${name}:${port}`),
  ]);
  const origins = new Set([
    ...LOOPBACK.map((name) => `http://${name}:${port}`),
    ...others.flatMap((name) => [`http://${name}`, `https://${name}`]),
    ...others
      .filter((name) => !/:\d+$/.test(name))
      .flatMap((name) => [`http://${name}:${port}`, `https://${name}:${port}`]),
  ]);
  return {
    host: (header) => header !== undefined && hosts.has(header.toLowerCase()),
    origin: (header) => header === undefined || origins.has(header),
  };
}

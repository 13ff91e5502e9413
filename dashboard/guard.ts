import type { Context, MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import type { Logins } from "../hub/access/logins.ts";

/** The cookie that a browser is logged in with. */
export const LOGIN_COOKIE = "cto_login";

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Headers of everything that the page answers. Nothing is kept by a browser unless it was said before. */
export const safeHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  c.header("Content-Security-Policy", CONTENT_SECURITY_POLICY);
  c.header("X-Content-Type-Options", "nosniff");
  c.header("X-Frame-Options", "DENY");
  c.header("Referrer-Policy", "same-origin");
  c.header("Cross-Origin-Opener-Policy", "same-origin");
  c.header("Cross-Origin-Resource-Policy", "same-origin");
  if (c.res.headers.get("Cache-Control") === null) c.header("Cache-Control", "no-store");
};

/**
 * Refuses what another site's page sends. A browser says where a request comes from, so one
 * that says nothing is refused as well. Behind a proxy that ends TLS the scheme differs, so it
 * is the host that must be the same.
 */
export const sameOriginOnly: MiddlewareHandler = async (c, next) => {
  if (c.req.method === "GET" || c.req.method === "HEAD") return next();
  const site = c.req.header("Sec-Fetch-Site");
  const good = site === undefined ? sameHost(c.req.header("Origin"), c.req.header("Host")) : site === "same-origin";
  if (!good) return c.text("This must be sent from the page itself. Open the page and try there.", 403);
  return next();
};

function sameHost(origin: string | undefined, host: string | undefined): boolean {
  return origin !== undefined && host !== undefined && URL.canParse(origin) && new URL(origin).host === host;
}

/** Whether the request carries a login that holds. */
export async function isLoggedIn(c: Context, logins: Logins): Promise<boolean> {
  const principal = await logins.principalOf(getCookie(c, LOGIN_COOKIE));
  return principal !== undefined && principal.role !== "agent";
}

/**
 * Lets only somebody who is logged in through. A page that a browser opens leads to the login,
 * everything else is refused with 401.
 */
export function requireLogin(logins: Logins): MiddlewareHandler {
  return async (c, next) => {
    if (await isLoggedIn(c, logins)) return next();
    const opens = c.req.method === "GET" && (c.req.header("Accept") ?? "").includes("text/html");
    if (!opens || c.req.query("fragment") !== undefined) return c.text("Log in first.", 401);
    const url = new URL(c.req.url);
    const wanted = localPath(url.pathname + url.search);
    return c.redirect(wanted === "/" ? "/login" : `/login?next=${encodeURIComponent(wanted)}`, 303);
  };
}

/** `path` when it leads to a page of ours, else the first page: a login must not send anybody elsewhere. */
export function localPath(path: string | undefined): string {
  return path !== undefined && path.length <= 500 && /^\/(?:[A-Za-z0-9?][\w\-./?=&%+]*)?$/.test(path) ? path : "/";
}

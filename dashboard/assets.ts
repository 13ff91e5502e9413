import { readFileSync } from "node:fs";
import { sha256 } from "../hub/base/ids.ts";

export interface Asset {
  body: string;
  type: string;
}

export interface Assets {
  /** The address of `name`, with the hash of its content in it. */
  path(name: AssetName): string;
  /** The asset at an address made by `path`; undefined for any other, an older hash included. */
  at(path: string): Asset | undefined;
}

const TYPES = {
  "page.css": "text/css; charset=utf-8",
  "page.js": "text/javascript; charset=utf-8",
  "icon.svg": "image/svg+xml",
} as const;
export type AssetName = keyof typeof TYPES;

/** Reads the page's files once. `folder` is theirs. */
export function loadAssets(folder: URL = new URL("assets/", import.meta.url)): Assets {
  const byPath = new Map<string, Asset>();
  const paths = new Map<string, string>();
  for (const [name, type] of Object.entries(TYPES)) {
    const body = readFileSync(new URL(name, folder), "utf8");
    const dot = name.lastIndexOf(".");
    const path = `/assets/${name.slice(0, dot)}.${sha256(body).slice(0, 16)}${name.slice(dot)}`;
    byPath.set(path, { body, type });
    paths.set(name, path);
  }
  return {
    path: (name) => paths.get(name) ?? "",
    at: (path) => byPath.get(path),
  };
}

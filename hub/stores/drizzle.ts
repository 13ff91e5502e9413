import { createRequire } from "node:module";

/**
 * Drizzle through `require`: its package.json has hundreds of exports that the ES module
 * loader reads again for every file, which costs up to a second of start and 200 MB.
 */
const require = createRequire(import.meta.url);
const core = require("drizzle-orm/sqlite-core") as typeof import("drizzle-orm/sqlite-core");
const orm = require("drizzle-orm") as typeof import("drizzle-orm");
const driver = require("drizzle-orm/better-sqlite3/driver") as typeof import("drizzle-orm/better-sqlite3/driver");

export const { sqliteTable, integer, text, real, primaryKey } = core;
export const { and, asc, desc, eq, gt, inArray, isNull, lt, sql, getTableColumns } = orm;
export const { drizzle } = driver;

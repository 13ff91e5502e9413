import pino from "pino";

/** Structured log lines go to stderr: stdout belongs to answers and to JSON-RPC. */
export type Log = Pick<pino.Logger, "debug" | "info" | "warn" | "error">;

/** Values under these names never reach a log line. */
const SECRET_PATHS = [
  "token",
  "*.token",
  "authorization",
  "*.authorization",
  "code",
  "*.code",
  "password",
  "*.password",
];

/** A logger that writes JSON lines to stderr (or to `destination`). */
export function createLog(level = "info", destination: pino.DestinationStream = pino.destination(2)): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: SECRET_PATHS, censor: "[redacted]" },
    },
    destination,
  );
}

/** Says nothing; for tests and for commands that only print. */
export const silentLog: Log = pino({ level: "silent" });

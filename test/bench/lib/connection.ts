import { connect, type Socket } from "node:net";

/** One keep-alive connection that carries one request at a time. */
export interface Connection {
  /** Sends a whole request as it stands and resolves with its whole answer. */
  send(request: Buffer): Promise<Answer>;
  /** Sends a request whose answer is a stream, and resolves at its head; the stream is then held, unread. */
  hold(request: Buffer): Promise<number>;
  close(): void;
}

export interface Answer {
  status: number;
  /** Status line and headers. */
  head: string;
  body: string;
}

const HEAD_END = Buffer.from("\r\n\r\n");
/** No request waits longer. */
const LONGEST_MS = 60_000;

/** A client of a few lines: what it costs beside the server is small and always the same. */
export async function openConnection(port: number): Promise<Connection> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  socket.setTimeout(LONGEST_MS, () => socket.destroy(new Error("no answer in a minute")));
  const ask = asker(socket);
  return {
    send: (request) => ask(request, readAnswer),
    async hold(request) {
      const status = await ask(request, (data) => readHead(data)?.status);
      socket.setTimeout(0);
      return status;
    },
    close: () => void socket.destroy(),
  };
}

function asker(socket: Socket) {
  let received: Buffer = Buffer.alloc(0);
  let take: (() => void) | undefined;
  let fail: ((error: Error) => void) | undefined;
  socket.on("data", (data: Buffer) => {
    received = received.length === 0 ? data : Buffer.concat([received, data]);
    take?.();
  });
  const ended = (error?: Error) => fail?.(error ?? new Error("the server closed the connection"));
  socket.on("error", ended);
  socket.on("close", () => ended());
  return <Result>(request: Buffer, read: (data: Buffer) => Result | undefined): Promise<Result> =>
    new Promise((resolve, reject) => {
      if (socket.destroyed) return reject(new Error("the server has closed the connection"));
      received = Buffer.alloc(0);
      fail = reject;
      take = () => {
        const result = read(received);
        if (result === undefined) return;
        take = fail = undefined;
        resolve(result);
      };
      socket.write(request);
    });
}

interface Head {
  status: number;
  text: string;
  bodyAt: number;
}

function readHead(data: Buffer): Head | undefined {
  const end = data.indexOf(HEAD_END);
  if (end < 0) return undefined;
  const text = data.toString("latin1", 0, end);
  return { status: Number(text.slice(9, 12)), text, bodyAt: end + HEAD_END.length };
}

function readAnswer(data: Buffer): Answer | undefined {
  const head = readHead(data);
  if (head === undefined) return undefined;
  const length = /\r\ncontent-length: *(\d+)/i.exec(head.text)?.[1];
  if (length === undefined && !/\r\ntransfer-encoding:/i.test(head.text))
    return { status: head.status, head: head.text, body: "" };
  if (length === undefined) return readChunks(data, head);
  const end = head.bodyAt + Number(length);
  return data.length < end
    ? undefined
    : { status: head.status, head: head.text, body: data.toString("utf8", head.bodyAt, end) };
}

function readChunks(data: Buffer, { status, text, bodyAt }: Head): Answer | undefined {
  const parts: Buffer[] = [];
  for (let at = bodyAt; ;) {
    const lineEnd = data.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(data.toString("latin1", at, lineEnd), 16);
    const from = lineEnd + 2;
    if (data.length < from + size + 2) return undefined;
    if (size === 0) return { status, head: text, body: Buffer.concat(parts).toString("utf8") };
    parts.push(data.subarray(from, from + size));
    at = from + size + 2;
  }
}

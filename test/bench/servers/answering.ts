/** The server's side of `lib/child.ts`: answers questions, ends with its channel. */

type Question = { is: string } & Record<string, unknown>;

/** Answers the channel's questions once `start` has given the port; `more` answers those of its own. */
export function answering(start: Promise<number>, more: (question: Question) => Promise<unknown>): void {
  process.once("disconnect", () => process.exit(0));
  process.on("message", (message: { id: number; question: Question }) => {
    void reply(message.question).then(
      (answer) => process.send?.({ id: message.id, reply: answer }),
      (error: unknown) => process.send?.({ id: message.id, error: String(error) }),
    );
  });

  async function reply(question: Question): Promise<unknown> {
    if (question.is === "port") return { port: await start };
    if (question.is === "cpu") return cpu();
    if (question.is === "heap") return heap();
    return more(question);
  }
}

/** What the server was started with. */
export function options(): { database: string } {
  return JSON.parse(process.argv[2] ?? "{}") as { database: string };
}

function cpu(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function heap(): Promise<number> {
  for (let at = 0; at < 5; at += 1) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return process.memoryUsage().heapUsed;
}

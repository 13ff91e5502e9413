/**
 * The lane of a project: two projects that name the same repository (a monorepo with
 * different paths) write in one lane. A project without a repository has a lane of its own.
 */
export function laneOf(repo: string, projectId: number): string {
  const plain = repo
    .trim()
    .replace(/\/+$/, "")
    .replace(/\.git$/, "");
  if (plain === "") return `project:${projectId}`;
  const remote = /^(?:[a-z+]+:\/\/)?(?:[^@/]+@)?([^/:]+)[:/](.+)$/i.exec(plain);
  const isPath = plain.startsWith("/") || plain.startsWith("~") || plain.startsWith(".") || plain.startsWith("file:");
  if (remote === null || isPath) return `repo:${plain.replace(/^file:\/\//, "")}`;
  return `repo:${remote[1]?.toLowerCase()}/${remote[2]}`;
}

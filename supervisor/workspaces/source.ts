import { lstat, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { messageOf, UserInputError } from "../../hub/base/errors.ts";
import type { Project } from "../../hub/base/project.ts";
import type { Git } from "./git.ts";

/** Who our own commits are by. */
export interface Identity {
  name: string;
  email: string;
}

/**
 * What a project's Repo cell names: a remote, or a repository on this host. Throws
 * `UserInputError` in words for what is neither; nothing is run to find out.
 */
export function parseRepo(repo: string, home = homedir()): { url: string } | { path: string } {
  const text = repo.trim();
  // A leading dash would be read as an option, `name::` as the name of a program to run.
  if (text.startsWith("-") || /\p{Cc}/u.test(text) || /^[A-Za-z0-9+.-]+::/.test(text)) {
    throw new UserInputError("Repo is not the address of a repository: give a URL or an absolute path.");
  }
  const url = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(text);
  if (url !== null) return parseUrl(text, (url[1] ?? "").toLowerCase(), url[2] ?? "");
  if (text === "~" || text.startsWith("~/")) return { path: resolve(join(home, text.slice(1))) };
  if (isAbsolute(text)) return { path: resolve(text) };
  if (/^(?:[^\s@/:-][^\s@/:]*@)?[^\s@/:-][^\s@/:]*:(?!-)\S/.test(text)) return { url: text };
  throw new UserInputError(`Repo "${text.slice(0, 100)}" is neither a URL nor an absolute path: give one of them.`);
}

function parseUrl(text: string, scheme: string, rest: string): { url: string } | { path: string } {
  if (!["http", "https", "ssh", "git", "file"].includes(scheme)) {
    throw new UserInputError(`Repo: ${scheme}:// is not taken; use https, ssh or an absolute path.`);
  }
  if (scheme === "file") {
    if (!rest.startsWith("/")) throw new UserInputError("Repo: a file:// URL must name an absolute path.");
    return { path: resolve(decodeURIComponent(rest)) };
  }
  if (/^(?:[^/@]*@)?-/.test(rest)) throw new UserInputError("Repo: the host's name must not begin with a dash.");
  return { url: text };
}

/**
 * The repository that we make for a project that has none: `<folder>`, branch main, one
 * commit with a README. A folder that is there already is taken when it is a repository and
 * never written into otherwise.
 */
export async function ensureOwnRepository(
  git: Git,
  projectsFolder: string,
  project: Project,
  identity: Identity,
): Promise<string> {
  const folder = join(projectsFolder, project.slug);
  if (await exists(join(folder, ".git"))) return folder;
  if ((await exists(folder)) && (await readdir(folder)).length > 0) {
    throw new UserInputError(
      `${folder} is there but is not a git repository: run "git init" and commit in it, or fill in Repo.`,
    );
  }
  await mkdir(projectsFolder, { recursive: true });
  await removeHalfMade(projectsFolder, project.slug);
  const fresh = await mkdtemp(join(projectsFolder, `.${project.slug}-`));
  try {
    await git(["init", "-q", "--template=", "--initial-branch=main", "--", fresh]);
    await writeFile(join(fresh, "README.md"), `# ${project.name.replace(/[\p{Cc}\s]+/gu, " ").trim()}\n`);
    await git(["-C", fresh, "add", "--", "README.md"]);
    await git(["-C", fresh, "commit", "-q", "-m", "Start the project"], { env: asAuthor(identity) });
    await rename(fresh, folder);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    // A run that was cut off may have been finished by another meanwhile.
    if (!(await exists(join(folder, ".git")))) throw error;
  }
  return folder;
}

async function removeHalfMade(projectsFolder: string, slug: string): Promise<void> {
  const halfMade = new RegExp(`^\\.${slug}-[A-Za-z0-9]{6}$`);
  for (const name of await readdir(projectsFolder)) {
    if (halfMade.test(name)) await rm(join(projectsFolder, name), { recursive: true, force: true });
  }
}

/**
 * Where the default branch of a repository on this host is kept: its own remote where it has
 * one, as it is itself otherwise.
 */
export async function originOf(git: Git, path: string): Promise<{ url: string } | undefined> {
  const read = await git(["config", "--get", "remote.origin.url"], {
    repository: await gitFolder(path),
    codes: [0, 1],
  });
  const value = read.stdout.trim();
  if (read.code !== 0 || value === "") return undefined;
  if (/^\.{1,2}(\/|$)/.test(value)) return { url: resolve(path, value) };
  try {
    const parsed = parseRepo(value);
    return { url: "url" in parsed ? parsed.url : parsed.path };
  } catch {
    return undefined;
  }
}

async function gitFolder(path: string): Promise<string> {
  const inside = join(path, ".git");
  return (await exists(inside)) ? inside : path;
}

/** Whether there is something at `path`, be it a dangling link. Anything but "no" is an error. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR"))
      return false;
    throw new UserInputError(`${path} cannot be looked at: ${messageOf(error)}`, { cause: error });
  }
}

/** Environment that makes a commit ours, or the person's where that was asked for. */
export function asAuthor({ name, email }: Identity): Record<string, string> {
  return { GIT_AUTHOR_NAME: name, GIT_AUTHOR_EMAIL: email, GIT_COMMITTER_NAME: name, GIT_COMMITTER_EMAIL: email };
}

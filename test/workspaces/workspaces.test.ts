import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Machine } from "../../supervisor/machines/machine.ts";
import { createNativeMachine } from "../../supervisor/machines/native.ts";
import { createGit } from "../../supervisor/workspaces/git.ts";
import { createWorkspaces } from "../../supervisor/workspaces/create-workspaces.ts";
import { finishTask, fingerprint, projectOf, taskOf, withWorld } from "./fixture.ts";
import type { World } from "./fixture.ts";

const T1 = taskOf(1, "Add b");
const T2 = taskOf(2, "Add c");

async function opened(world: World, repo: string, task = T1) {
  const project = projectOf(repo);
  assert.deepEqual(await world.workspaces.refresh(project), { ok: true });
  const { path, base } = await world.workspaces.open(world.place, project, task, "# Continuation\n");
  return { project, path, base };
}

test("a task goes the whole line: clone, commit of what is left, merge, verify, integration", () =>
  withWorld(async (world) => {
    const { git, write, workspaces, place } = world;
    const { project, path, base } = await opened(world, await world.repository());
    assert.equal(path, join(world.home.workspaces, "app", "T1"));
    assert.equal(await git(path, "branch", "--show-current"), "cto/T1");
    assert.equal(await git(path, "remote"), "", "no remote is left configured");
    assert.equal(await git(path, "config", "user.email"), "cto@localhost");
    assert.equal(await readFile(join(path, "CONTINUATION.md"), "utf8"), "# Continuation\n");
    assert.equal(await git(path, "status", "--porcelain"), "", "the continuation is excluded");

    await write(join(path, "b.txt"), "b\n");
    await git(path, "add", ".");
    await git(path, "commit", "-q", "-m", "The agent's own commit");
    await write(join(path, "naïve/ünï 文件.txt"), "left uncommitted\n");
    await rm(join(path, "a.txt"));

    const collected = await workspaces.collect(place, project, T1);
    assert.equal(collected.base, base);
    assert.deepEqual(await workspaces.collect(place, project, T1), collected, "collecting again changes nothing");
    assert.equal(await git(path, "status", "--porcelain"), "", "the agent's repository follows");
    assert.equal(await git(path, "rev-parse", "HEAD"), collected.head);

    const { commits, files } = await workspaces.changes(project, base, collected.head);
    assert.deepEqual(
      commits.map((commit) => commit.subject),
      ["T1: Add b", "The agent's own commit"],
    );
    assert.deepEqual(files, [
      { path: "a.txt", added: 0, removed: 1 },
      { path: "b.txt", added: 1, removed: 0 },
      { path: "naïve/ünï 文件.txt", added: 1, removed: 0 },
    ]);
    assert.deepEqual(await workspaces.bringUpToDate(place, project, T1, collected.head), { head: collected.head });
    assert.deepEqual(await workspaces.verify(place, project, T1, collected.head), []);
    assert.deepEqual(await workspaces.integrate(project, T1, collected.head), { commit: collected.head });
    assert.deepEqual(await workspaces.integrate(project, T1, collected.head), { commit: collected.head });
    assert.deepEqual(await workspaces.collect(place, project, T1), collected, "base and head hold after integration");
    await workspaces.discard(place, project, T1);
    await workspaces.discard(place, project, T1);
    assert.deepEqual(await readdir(join(world.home.workspaces, "app")), []);
    assert.equal(await git(world.mirror(project), "rev-parse", "cto/T1"), collected.head, "commits stay in the mirror");
  }));

test("opening again finds the work as it was left, with a new continuation", () =>
  withWorld(async (world) => {
    const { project, path, base } = await opened(world, await world.repository());
    await world.write(join(path, "half.txt"), "half\n");
    await world.write(join(path, ".git/index.lock"), "");
    const again = await world.workspaces.open(world.place, project, T1, "second\n");
    assert.deepEqual(again, { path, base });
    assert.equal(await readFile(join(path, "half.txt"), "utf8"), "half\n");
    assert.equal(await readFile(join(path, "CONTINUATION.md"), "utf8"), "second\n");
    await world.git(path, "add", "half.txt");
  }));

test("a second task starts from what the first one finished", () =>
  withWorld(async (world) => {
    const { project, path } = await opened(world, await world.repository());
    await world.write(join(path, "b.txt"), "b\n");
    const first = await finishTask(world, project, T1);
    const second = await world.workspaces.open(world.place, project, T2, "");
    assert.equal(second.base, first.head);
    assert.equal(await readFile(join(second.path, "b.txt"), "utf8"), "b\n");
  }));

test("work done side by side is merged, and each task shows only its own", () =>
  withWorld(async (world) => {
    const { workspaces, place } = world;
    const { project, path } = await opened(world, await world.repository());
    const second = await workspaces.open(place, project, T2, "");
    await world.write(join(path, "b.txt"), "b\n");
    await world.write(join(second.path, "c.txt"), "c\n");
    const { head } = await workspaces.collect(place, project, T2);
    const first = await finishTask(world, project, T1);
    assert.equal(await workspaces.integrate(project, T2, head), "moved");
    const merged = await workspaces.bringUpToDate(place, project, T2, head);
    assert.ok("head" in merged && merged.head !== head);
    assert.deepEqual(
      await workspaces.bringUpToDate(place, project, T2, head),
      merged,
      "merging again is the same merge",
    );
    assert.equal(await readFile(join(second.path, "b.txt"), "utf8"), "b\n", "the workspace is at the merge");
    assert.equal(await world.git(second.path, "status", "--porcelain"), "");
    assert.deepEqual(await workspaces.verify(place, project, T2, merged.head), []);
    assert.deepEqual(await workspaces.collect(place, project, T2), { base: first.head, head: merged.head });
    assert.deepEqual(await workspaces.integrate(project, T2, merged.head), { commit: merged.head });
    const shown = await workspaces.changes(project, first.head, merged.head);
    assert.deepEqual(shown.files, [{ path: "c.txt", added: 1, removed: 0 }]);
  }));

test("of many that integrate at once exactly one moves the branch; the others are told", () =>
  withWorld(async (world) => {
    const { project, base } = await opened(world, await world.repository());
    const mirror = world.mirror(project);
    const commit = (id: number) => world.git(mirror, "commit-tree", `${base}^{tree}`, "-p", base, "-m", `T${id}`);
    const heads = await Promise.all(Array.from({ length: 8 }, (_, id) => commit(id)));
    const answers = await Promise.all(heads.map((head, id) => world.workspaces.integrate(project, taskOf(id), head)));
    const winners = heads.filter((_, id) => answers[id] !== "moved");
    assert.deepEqual(winners, [await world.git(mirror, "rev-parse", "cto/integration")]);
  }));

test("a task that only followed others has nothing to show", () =>
  withWorld(async (world) => {
    const { workspaces, place } = world;
    const { project, path } = await opened(world, await world.repository());
    const second = await workspaces.open(place, project, T2, "");
    await world.write(join(path, "b.txt"), "b\n");
    const first = await finishTask(world, project, T1);
    await world.git(second.path, "pull", "-q", "--ff-only", world.mirror(project), "cto/integration");
    assert.deepEqual(await workspaces.collect(place, project, T2), { base: first.head, head: first.head });
  }));

test("a conflict is listed, and the agent can mend it with the integration branch at hand", () =>
  withWorld(async (world) => {
    const { workspaces, place, git } = world;
    const { project, path } = await opened(world, await world.repository());
    const second = await workspaces.open(place, project, T2, "");
    await world.write(join(path, "a.txt"), "first\n");
    await world.write(join(second.path, "a.txt"), "second\n");
    const first = await finishTask(world, project, T1);
    const { head } = await workspaces.collect(place, project, T2);
    assert.deepEqual(await workspaces.bringUpToDate(place, project, T2, head), { conflicts: ["a.txt"] });
    assert.equal(await git(second.path, "rev-parse", "HEAD"), head, "the workspace stays as it was");

    await assert.rejects(git(second.path, "merge", "-q", "cto/integration"));
    await world.write(join(second.path, "a.txt"), "both\n");
    const mended = await workspaces.collect(place, project, T2);
    assert.equal(await git(world.mirror(project), "log", "-1", "--format=%P", mended.head), `${head} ${first.head}`);
    assert.equal(mended.base, first.head);
    assert.equal(existsSync(join(second.path, ".git/MERGE_HEAD")), false);
    assert.deepEqual(await workspaces.bringUpToDate(place, project, T2, mended.head), { head: mended.head });
    assert.deepEqual(await workspaces.integrate(project, T2, mended.head), { commit: mended.head });
  }));

test("law 15: nothing lands by itself: the person's checkout, its refs and the remote stay as they are to the byte", () =>
  withWorld(async (world) => {
    const { git, root } = world;
    const remote = join(root, "remote.git");
    const checkout = await world.repository();
    await git(root, "clone", "-q", "--bare", checkout, remote);
    await git(checkout, "remote", "add", "origin", remote);
    await git(checkout, "checkout", "-q", "-b", "feature");
    await world.write(join(checkout, "a.txt"), "dirty\n");
    await world.write(join(checkout, "untracked.txt"), "mine\n");
    await git(checkout, "update-index", "-q", "--refresh").catch(() => undefined);
    const before = [await fingerprint(checkout), await fingerprint(remote)];

    const { project, path } = await opened(world, checkout);
    assert.equal(await readFile(join(path, "a.txt"), "utf8"), "a\n", "uncommitted changes are not included");
    assert.equal(existsSync(join(path, "untracked.txt")), false);
    await world.write(join(path, "b.txt"), "b\n");
    await finishTask(world, project, T1);
    await world.workspaces.refresh(project);
    await world.workspaces.discard(world.place, project, T1);
    assert.deepEqual([await fingerprint(checkout), await fingerprint(remote)], before);
    await assert.rejects(git(checkout, "push", "-q", world.mirror(project), "feature:refs/heads/main"), /hidden ref/);
    await assert.rejects(git(checkout, "push", "-q", world.mirror(project), "+feature:cto/integration"), /hidden ref/);
  }));

test("a default branch that moves on is taken in; a conflict with finished work and a rewrite are said", () =>
  withWorld(async (world) => {
    const { git, workspaces } = world;
    const repo = await world.repository();
    const { project, path } = await opened(world, repo);
    const integration = () => git(world.mirror(project), "rev-parse", "cto/integration");
    await world.write(join(repo, "m.txt"), "1\n");
    await git(repo, "add", ".");
    await git(repo, "commit", "-q", "-m", "Moves on");
    assert.deepEqual(await workspaces.refresh(project), { ok: true });
    assert.equal(await integration(), await git(repo, "rev-parse", "main"), "nothing of ours: fast-forward");

    await world.write(join(path, "a.txt"), "ours\n");
    const { head } = await finishTask(world, project, T1);
    await world.write(join(repo, "m.txt"), "2\n");
    await git(repo, "commit", "-q", "-a", "-m", "Moves on again");
    assert.deepEqual(await workspaces.refresh(project), { ok: true });
    const merged = await integration();
    const parents = await git(world.mirror(project), "log", "-1", "--format=%P", "cto/integration");
    assert.equal(parents, `${head} ${await git(repo, "rev-parse", "main")}`);
    assert.deepEqual(await workspaces.refresh(project), { ok: true });
    assert.equal(await integration(), merged, "refreshing again changes nothing");

    await world.write(join(repo, "a.txt"), "theirs\n");
    await git(repo, "commit", "-q", "-a", "-m", "Clashes");
    const clash = await workspaces.refresh(project);
    assert.match(clash.ok ? (clash.note ?? "") : "", /conflicts with finished work in a\.txt/);
    assert.equal(await integration(), merged);

    await git(repo, "reset", "-q", "--hard", "HEAD~2");
    await world.write(join(repo, "n.txt"), "n\n");
    await git(repo, "add", ".");
    await git(repo, "commit", "-q", "-m", "Rewritten");
    const rewritten = await workspaces.refresh(project);
    assert.match(rewritten.ok ? (rewritten.note ?? "") : "", /was rewritten/);
    assert.match(await git(world.mirror(project), "ls-tree", "--name-only", "cto/integration"), /n\.txt/);

    await git(repo, "checkout", "-q", "--orphan", "other");
    await git(repo, "commit", "-q", "-m", "Another world");
    const foreign = await workspaces.refresh(project);
    assert.match(foreign.ok ? "" : foreign.why, /no history in common/);
  }));

test("a project without a repository gets one; an empty one starts on the integration branch only", () =>
  withWorld(async (world) => {
    const { git, workspaces, place, root } = world;
    const own = projectOf("", { slug: "own", name: "My Own\nthing" });
    assert.deepEqual(await workspaces.refresh(own), { ok: true });
    assert.deepEqual(await workspaces.refresh(own), { ok: true });
    const folder = join(world.home.projects, "own");
    assert.equal(await readFile(join(folder, "README.md"), "utf8"), "# My Own thing\n");
    assert.equal(await git(folder, "log", "--format=%an %s", "main"), "CTO Sidekick Start the project");
    assert.equal(await git(folder, "status", "--porcelain"), "");

    const taken = projectOf("", { slug: "taken" });
    await world.write(join(world.home.projects, "taken", "precious.txt"), "mine");
    const refused = await workspaces.refresh(taken);
    assert.match(refused.ok ? "" : refused.why, /is there but is not a git repository/);
    assert.deepEqual(await readdir(join(world.home.projects, "taken")), ["precious.txt"]);

    const empty = join(root, "empty");
    await mkdir(empty);
    await git(empty, "init", "-q", "-b", "main");
    const { project, path } = await opened(world, empty);
    await world.write(join(path, "b.txt"), "b\n");
    await finishTask(world, project, T1);
    assert.equal(await git(empty, "for-each-ref"), "", "the person's repository stays empty");
    await world.write(join(empty, "a.txt"), "a\n");
    await git(empty, "add", ".");
    await git(empty, "commit", "-q", "-m", "The person starts too");
    assert.deepEqual(await workspaces.refresh(project), { ok: true });
    assert.equal(await git(world.mirror(project), "ls-tree", "--name-only", "cto/integration"), "a.txt\nb.txt");
    const second = await workspaces.open(place, project, T2, "");
    assert.deepEqual((await readdir(second.path)).toSorted(), [".git", "CONTINUATION.md", "a.txt", "b.txt"]);
  }));

test("what cannot be had is said in words; what was fetched before is gone on with", () =>
  withWorld(async (world) => {
    const { git, workspaces, root } = world;
    const why = async (repo: string, slug = "other") => {
      const result = await workspaces.refresh(projectOf(repo, { slug }));
      assert.equal(result.ok, false, repo);
      return result.ok ? "" : result.why;
    };
    assert.match(await why(join(root, "nowhere")), /nowhere is not there/);
    assert.match(await why("relative/path"), /neither a URL nor an absolute path/);
    assert.match(await why("--upload-pack=touch canary"), /not the address/);
    assert.match(await why("ext::sh -c touch% canary"), /not the address/);
    assert.match(await why("ssh://-oProxyCommand=touch/x"), /must not begin with a dash/);
    assert.match(await why("-oProxyCommand=x:y"), /not the address/);
    assert.match(await why("git@-oProxyCommand=x:y"), /neither/);
    assert.match(await why("javascript://x"), /is not taken/);
    assert.match(await why("a\nb"), /not the address/);
    await world.write(join(root, "plain", "x.txt"), "x");
    assert.match(await why(join(root, "plain")), /cannot be read/);
    assert.doesNotMatch(await why("https://me:hunter2@127.0.0.1:1/x.git"), /hunter2/);

    const repo = await world.repository();
    const { project } = await opened(world, repo);
    await git(repo, "symbolic-ref", "HEAD", "refs/heads/gone");
    const gone = await workspaces.refresh(project);
    assert.match(gone.ok ? (gone.note ?? "") : "", /default branch of .* is not there any more/);
    assert.match(await why(repo, "fresh"), /default branch of .* is not there any more/);
    await rename(repo, join(root, "moved"));
    const offline = await workspaces.refresh(project);
    assert.match(offline.ok ? (offline.note ?? "") : "", /Going on with what was fetched before/);
    await workspaces.open(world.place, project, T1, "");
  }));

test("a remote that is offline is stood in for by what the person's clone last had of it", () =>
  withWorld(async (world) => {
    const { git, root } = world;
    const upstream = await world.repository("upstream");
    await git(root, "clone", "-q", upstream, "clone");
    const clone = join(root, "clone");
    await world.write(join(clone, "local.txt"), "not pushed\n");
    await git(clone, "add", ".");
    await git(clone, "commit", "-q", "-m", "Local only");
    const shared = await git(upstream, "rev-parse", "main");
    await rename(upstream, join(root, "away"));
    const { base } = await opened(world, clone);
    assert.equal(base, shared);
  }));

test("a hostile workspace runs nothing outside its machine and hides nothing", async () => {
  // Whatever runs inside the machine carries this mark; a canary without it was hatched on the host.
  const marked = (machine: Machine): Machine => ({
    ...machine,
    exec: (name, argv, options) => machine.exec(name, argv, { ...options, env: { ...options.env, IN_MACHINE: "1" } }),
  });
  await withWorld(
    async (world) => {
      const { git, write, workspaces, place, root } = world;
      const repo = await world.repository();
      const { project, path } = await opened(world, repo);
      const second = await workspaces.open(place, project, T2, "");
      await write(join(path, "x.txt"), "x\n");
      await finishTask(world, project, T1);

      const hostile = second.path;
      const canary = join(root, "evil.sh");
      await write(canary, `#!/bin/sh\necho "$0 $*" >> "${root}/canary-\${IN_MACHINE:-host}"\n`);
      await chmod(canary, 0o755);
      const config = [
        ["core.hooksPath", join(hostile, "hooks")],
        ["core.fsmonitor", canary],
        ["core.sshCommand", canary],
        ["core.gitProxy", canary],
        ["core.pager", canary],
        ["core.editor", canary],
        ["core.alternateRefsCommand", canary],
        ["uploadpack.packObjectsHook", canary],
        ["filter.evil.clean", canary],
        ["filter.evil.smudge", canary],
        ["filter.evil.process", canary],
        ["diff.external", canary],
        ["diff.evil.textconv", canary],
        ["merge.evil.driver", canary],
        ["gpg.program", canary],
        ["commit.gpgSign", "true"],
        ["credential.helper", `!${canary}`],
        ["extensions.partialClone", "evil"],
        ["remote.evil.promisor", "true"],
        ["remote.evil.url", `ext::${canary}`],
        ["remote.evil.uploadpack", canary],
        ["url.ext::x.insteadOf", "/"],
        ["core.attributesFile", join(hostile, "attributes")],
        ["core.worktree", root],
        ["core.excludesFile", "/dev/null"],
      ];
      await write(join(hostile, "real.txt"), "real\n");
      await write(join(hostile, "--force"), "dash\n");
      await write(join(hostile, "-x", "--", "\n\tnew line"), "odd\n");
      await write(join(hostile, ":(exclude)*"), "magic\n");
      await write(join(hostile, ".gitattributes"), "* filter=evil diff=evil merge=evil\n");
      await symlink("/etc/passwd", join(hostile, "link"));
      await symlink(repo, join(hostile, "folder-link"));
      await git(hostile, "branch", "--no-track", "cto/evil;touch", "HEAD");
      await git(hostile, "update-ref", "refs/heads/cto/integration", "HEAD");
      await git(hostile, "tag", "v1");
      // The branch is taken away and its name made a folder, so that no ref of that name can be made.
      const head = await git(hostile, "rev-parse", "HEAD");
      await git(hostile, "checkout", "-q", "--detach");
      await git(hostile, "branch", "-q", "-D", "cto/T2");
      await git(hostile, "update-ref", "refs/heads/cto/T2/trap", head);
      for (const hook of [
        "pre-commit",
        "post-commit",
        "reference-transaction",
        "post-checkout",
        "post-index-change",
        "pre-auto-gc",
      ]) {
        for (const folder of ["hooks", ".git/hooks"]) {
          await write(join(hostile, folder, hook), await readFile(canary, "utf8"));
          await chmod(join(hostile, folder, hook), 0o755);
        }
      }
      for (const [name = "", value = ""] of config) await git(hostile, "config", name, value);
      await mkdir(join(hostile, "nested"));
      await git(root, "init", "-q", join(hostile, "nested"));
      await write(join(hostile, "nested/inner.txt"), "inner\n");

      const collected = await workspaces.collect(place, project, T2);
      const updated = await workspaces.bringUpToDate(place, project, T2, collected.head);
      assert.ok("head" in updated && updated.head !== collected.head);
      assert.deepEqual(await workspaces.verify(place, project, T2, updated.head), [
        "not committed: nested/ (commit it, or name it in .gitignore)",
      ]);
      assert.deepEqual(await workspaces.integrate(project, T2, updated.head), { commit: updated.head });
      await workspaces.open(place, project, T2, "again");
      await workspaces.refresh(project);

      assert.deepEqual(
        (await readdir(root)).filter((name) => name.startsWith("canary")),
        [],
      );
      const mirror = world.mirror(project);
      assert.equal(await git(mirror, "show", `${updated.head}:real.txt`), "real");
      assert.equal(await git(mirror, "show", `${updated.head}:x.txt`), "x");
      const names = (await git(mirror, "ls-tree", "-r", "-z", "--name-only", updated.head)).split("\0");
      for (const name of ["--force", "-x/--/\n\tnew line", ":(exclude)*", "link", "folder-link"])
        assert.ok(names.includes(name), name);
      assert.equal(
        names.some((name) => name.startsWith("nested")),
        false,
      );
      const refs = (await git(mirror, "for-each-ref", "--format=%(refname)")).split("\n");
      assert.equal(
        refs.some((ref) => /evil|trap|tags/.test(ref)),
        false,
        "only the task's branch came in",
      );
      assert.equal(await git(mirror, "rev-parse", "cto/integration"), updated.head);
      assert.equal(await workspaces.hasFile(project, updated.head, "link"), false, "a link is no output file");

      await git(hostile, `--work-tree=${hostile}`, "add", "-A").catch(() => undefined);
      assert.ok(existsSync(join(root, "canary-host")), "the trap was live all the time");
    },
    { machine: (home) => marked(createNativeMachine(home)) },
  );
});

test("verify sees through flags, restored times, filters and ignore files that are not committed", () =>
  withWorld(async (world) => {
    const { git, write, workspaces, place } = world;
    const repo = await world.repository();
    await write(join(repo, ".gitignore"), "*.log\n");
    await write(join(repo, "sub [1]", ".gitignore"), "# words\n/here\nbuilt/\n!keep.log\na/b\n");
    await git(repo, "add", ".");
    await git(repo, "commit", "-q", "-m", "Ignores");
    const { project, path, base } = await opened(world, repo);
    await write(join(path, "skip.log"), "ignored\n");
    await write(join(path, "sub [1]/here"), "ignored\n");
    await write(join(path, "sub [1]/deep/built/x"), "ignored\n");
    await write(join(path, "sub [1]/a/b"), "ignored\n");
    assert.deepEqual(await workspaces.verify(place, project, T1, base), []);

    const { atime, mtime } = await stat(join(path, "a.txt"));
    await git(path, "update-index", "--assume-unchanged", "a.txt");
    await git(path, "update-index", "--skip-worktree", ".gitignore");
    await write(join(path, "a.txt"), "b\n");
    await utimes(join(path, "a.txt"), atime, mtime);
    await git(path, "config", "filter.lie.clean", "echo a");
    await write(join(path, ".git/info/attributes"), "a.txt filter=lie\n");
    await write(join(path, ".git/info/exclude"), "*\n");
    await write(join(path, "hidden/.gitignore"), "*\n");
    await write(join(path, "hidden/helper.txt"), "what the check leans on\n");
    await write(join(path, "sub [1]/keep.log"), "kept\n");
    await write(join(path, "sub [1]/deep/here"), "not the one that is ignored\n");
    await rm(join(path, "sub [1]/.gitignore"));
    assert.deepEqual(await workspaces.verify(place, project, T1, base), [
      "changed: a.txt",
      "missing: sub [1]/.gitignore",
      "not committed: hidden/ (commit it, or name it in .gitignore)",
      "not committed: sub [1]/deep/ (commit it, or name it in .gitignore)",
      "not committed: sub [1]/keep.log",
    ]);
  }));

test("an agent that throws its history or its repository away loses no work", () =>
  withWorld(async (world) => {
    const { git, write, workspaces, place } = world;
    const { project, path, base } = await opened(world, await world.repository());
    await write(join(path, "b.txt"), "b\n");
    await rm(join(path, ".git"), { recursive: true });
    const first = await workspaces.collect(place, project, T1);
    assert.deepEqual((await workspaces.changes(project, base, first.head)).files, [
      { path: "b.txt", added: 1, removed: 0 },
    ]);

    await git(path, "checkout", "-q", "--orphan", "fresh");
    await write(join(path, "c.txt"), "c\n");
    await git(path, "add", ".");
    await git(path, "commit", "-q", "-m", "A new world");
    const second = await workspaces.collect(place, project, T1);
    assert.equal(await git(world.mirror(project), "rev-parse", `${second.head}^`), first.head);
    assert.equal(await git(path, "branch", "--show-current"), "cto/T1");

    await rm(path, { recursive: true });
    assert.deepEqual(await workspaces.collect(place, project, T1), second);
    await workspaces.open(place, project, T1, "");
    assert.equal(await readFile(join(path, "c.txt"), "utf8"), "c\n", "opened anew from what was collected");

    await writeFile(join(path, "d.txt"), "d\n");
    await rm(join(path, ".git"), { recursive: true });
    await workspaces.open(place, project, T1, "");
    assert.equal(await readFile(join(`${path}.broken`, "d.txt"), "utf8"), "d\n", "kept aside");
  }));

test("CONTINUATION.md never counts, unless it is the project's own", () =>
  withWorld(async (world) => {
    const { git, workspaces, place } = world;
    const { project, path, base } = await opened(world, await world.repository());
    await git(path, "add", "-f", "CONTINUATION.md");
    await git(path, "commit", "-q", "-m", "Hand-over");
    const { head } = await workspaces.collect(place, project, T1);
    assert.deepEqual((await workspaces.changes(project, base, head)).files, []);
    assert.equal(await workspaces.hasFile(project, head, "CONTINUATION.md"), false);
    assert.ok(existsSync(join(path, "CONTINUATION.md")));

    const repo = await world.repository("owned");
    await world.write(join(repo, "CONTINUATION.md"), "the project's\n");
    await git(repo, "add", ".");
    await git(repo, "commit", "-q", "-m", "Own");
    const owned = projectOf(repo, { slug: "owned" });
    await workspaces.refresh(owned);
    const open = await workspaces.open(place, owned, T1, "ours\n");
    assert.equal(await readFile(join(open.path, "CONTINUATION.md"), "utf8"), "the project's\n");
    await world.write(join(open.path, "CONTINUATION.md"), "changed\n");
    const own = await workspaces.collect(place, owned, T1);
    assert.equal((await workspaces.changes(owned, own.base, own.head)).files.length, 1);
  }));

test("a commit's words are the description's first line, made harmless", () =>
  withWorld(async (world) => {
    const { project, path } = await opened(world, await world.repository());
    const task = taskOf(1, "Fix\u202E the \u001b[31mbug\u0000\nSigned-off-by: somebody");
    await world.write(join(path, "b.txt"), "b\n");
    const { head } = await world.workspaces.collect(world.place, project, task);
    assert.equal(
      await world.git(world.mirror(project), "log", "-1", "--format=%B|%an|%ae", head),
      "T1: Fix the [31mbug\n|CTO Sidekick|cto@localhost",
    );
  }));

test("only files inside the commit are there", () =>
  withWorld(async (world) => {
    const { project, base } = await opened(world, await world.repository());
    const has = (path: string) => world.workspaces.hasFile(project, base, path);
    assert.deepEqual(await Promise.all(["a.txt", "./a.txt", "x/../a.txt"].map(has)), [true, true, true]);
    const never = [
      "",
      ".",
      "..",
      "../app/a.txt",
      "/etc/passwd",
      "a.txt/",
      "a.txt\0",
      "*.txt",
      ":a.txt",
      "b.txt",
      "--",
      "A.TXT",
    ];
    assert.deepEqual(
      await Promise.all(never.map(has)),
      never.map(() => false),
    );
    await assert.rejects(world.workspaces.hasFile(project, "--output=x", "a.txt"), /not the name of a commit/);
    await assert.rejects(world.workspaces.changes(project, base, "HEAD"), /not the name of a commit/);
  }));

test("a machine that cannot see the host's folders is handed bundles", () =>
  withWorld(
    async (world) => {
      const { workspaces, place } = world;
      const { project, path } = await opened(world, await world.repository());
      const second = await workspaces.open(place, project, T2, "");
      await world.write(join(path, "b.txt"), "b\n");
      await world.write(join(second.path, "c.txt"), "c\n");
      await finishTask(world, project, T1);
      await finishTask(world, project, T2);
      assert.equal(
        await world.git(world.mirror(project), "ls-tree", "--name-only", "cto/integration"),
        "a.txt\nb.txt\nc.txt",
      );
      assert.deepEqual((await readdir(join(world.home.workspaces, "app"))).toSorted(), ["T1", "T2"]);
    },
    { machine: (home) => ({ ...createNativeMachine(home), kind: "far" }) },
  ));

test("a big file and a repository of the newer kind (SHA-256) go through", () =>
  withWorld(async (world) => {
    const repo = join(world.root, "sha256");
    await mkdir(repo);
    await world.git(repo, "init", "-q", "-b", "trunk", "--object-format=sha256");
    await world.write(join(repo, "a.txt"), "a\n");
    await world.git(repo, "add", ".");
    await world.git(repo, "commit", "-q", "-m", "First");
    const { project, path } = await opened(world, repo);
    await writeFile(join(path, "big.bin"), Buffer.alloc(40 * 1024 * 1024, "0123456789abcdef"));
    const { head } = await finishTask(world, project, T1);
    assert.equal(head.length, 64);
    assert.equal(await world.git(world.mirror(project), "cat-file", "-s", `${head}:big.bin`), String(40 * 1024 * 1024));
  }));

test("git that is missing or too old is named, with the version that is needed", () =>
  withWorld(async ({ root, home, write }) => {
    await write(join(root, "old-git"), "#!/bin/sh\necho git version 2.30.2\n");
    await chmod(join(root, "old-git"), 0o755);
    const refresh = (program: string) => createWorkspaces(home, { git: createGit(program) }).refresh(projectOf(""));
    await assert.rejects(refresh(join(root, "old-git")), /git 2\.39 or newer is needed \(this one is 2\.30\)/);
    await assert.rejects(refresh(join(root, "no-git")), /is not there: install git/);
  }));

// A film on a Flamenco farm: one task a shot, then the join. Put this file into the Manager's folder
// `scripts`; Workers need `dreamvid` on their PATH, and a folder that they share.

const JOB_TYPE = {
    label: "dreamvid",
    settings: [
        { key: "source", type: "string", required: true, description: "The clip." },
        { key: "out", type: "string", required: true, description: "The result." },
        { key: "config", type: "string", required: true, description: "TOML file with all options." },
        { key: "shots", type: "int32", required: true, description: "As `dreamvid shots` lists them." },
    ],
};

function compileJob(job) {
    const settings = job.settings;
    const join = author.Task("join", "misc");
    join.addCommand(author.Command("exec", { exe: "dreamvid", args: ["join", settings.out] }));
    for (let shot = 1; shot <= settings.shots; shot++) {
        const task = author.Task("shot " + shot, "misc");
        task.addCommand(author.Command("exec", {
            exe: "dreamvid",
            args: ["video", settings.source, settings.out, "--config", settings.config,
                "--shot", String(shot)],
        }));
        job.addTask(task);
        join.addDependency(task);
    }
    job.addTask(join);
}

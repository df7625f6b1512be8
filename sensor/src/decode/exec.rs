use std::mem::offset_of;

use wanglou_sensor_common::event::{Exec, flags};

use super::{Decoder, Refused, comm, known, parse, path, state, take, until_nul};
use crate::observation::{Action, Args, Cut, Image, Namespaces, State};

const MEMFD: &[u8] = b"/memfd:";

pub(super) fn decode<'a>(
    decoder: &'a mut Decoder,
    body: &'a [u8],
    existing: bool,
) -> Result<(Action<'a>, State<'a>), Refused> {
    let (exec, mut rest) = parse::<Exec>(body)?;
    let has = |flag| exec.flags & flag != 0;
    let exe = take(&mut rest, exec.exe_len)?;
    let cwd = take(&mut rest, exec.cwd_len)?;
    let script = take(&mut rest, exec.script_len)?;
    let head = take(&mut rest, exec.head_len)?;
    let tail = take(&mut rest, exec.tail_len)?;

    let executable = (!exe.is_empty())
        .then(|| path::turn_round(exe, has(flags::EXE_CUT), &mut decoder.executable));
    // A kernel thread has none; the root itself has no names.
    let working_directory = (!has(flags::KTHREAD))
        .then(|| path::turn_round(cwd, has(flags::CWD_CUT), &mut decoder.working_directory));
    let memfd = has(flags::DETACHED) && executable.is_some_and(|path| path.starts_with(MEMFD));
    let image = Image {
        executable,
        deleted: has(flags::DELETED) && !memfd,
        memfd,
        script: (!script.is_empty()).then(|| until_nul(script)),
        args: (!existing).then_some(Args {
            head,
            tail,
            bytes: exec.args_bytes,
            count: Some(exec.argc.into()),
        }),
        working_directory,
        tty: Some(has(flags::TTY).then_some((exec.tty_major, exec.tty_minor))),
        session: known(exec.session),
        namespaces: Namespaces {
            pid: known(exec.pid_ns),
            mnt: known(exec.mnt_ns),
            net: known(exec.net_ns),
        },
        cut: Cut {
            executable: has(flags::EXE_CUT),
            working_directory: has(flags::CWD_CUT),
            script: has(flags::SCRIPT_CUT),
        },
        kernel_thread: has(flags::KTHREAD),
        ended: has(flags::DEAD),
    };
    let state = State {
        vpid: known(exec.vpid),
        ..state(exec.ids, comm(body, offset_of!(Exec, comm)), exec.real_parent)
    };
    Ok((if existing { Action::Existing(image) } else { Action::Exec(image) }, state))
}

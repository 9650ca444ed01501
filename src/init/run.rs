//! The order of events: file systems, console, the plan line by line, power off.

use super::command::{Mode, Strings, Supervisor};
use super::errno::Errno;
use super::message::{Decimal, say, say_error};
use super::network;
use super::plan::{Directive, Lines, PLAN_PATH, Problem, Words};
use super::syscall::{self, O_CLOEXEC, O_RDONLY};
use super::system;

/// Does what the plan says and switches the machine off.
pub fn run() -> ! {
    let mounts = system::mount_file_systems();
    system::open_console();
    system::report_mounts(&mounts);
    network::bring_up_loopback();
    if let Err(error) = read_plan().and_then(follow) {
        say_error([b"cannot follow ", PLAN_PATH.to_bytes()], error);
    }
    // Whoever watches the console knows it before the kernel says so; a kernel that is stuck never does.
    say(&[b"switching off"]);
    system::drain_console();
    syscall::power_off();
    syscall::exit(1)
}

/// Reads the whole plan into memory that stays: arguments and variables point into it.
fn read_plan() -> Result<&'static mut [u8], Errno> {
    let fd = syscall::open(PLAN_PATH, O_RDONLY | O_CLOEXEC)?;
    let size = syscall::file_size(fd)?;
    // SAFETY: any byte is a u8.
    let plan = unsafe { syscall::allocate_zeroed::<u8>(size) }?;
    let mut filled = 0;
    while let Some(rest) = plan.get_mut(filled..)
        && !rest.is_empty()
    {
        match syscall::read(fd, rest)? {
            0 => return Err(Errno::EIO),
            count => filled += count,
        }
    }
    syscall::close(fd);
    Ok(plan)
}

fn follow(plan: &'static mut [u8]) -> Result<(), Errno> {
    // Each word and each line takes two bytes at least: its own and its separator.
    let most = plan.len() / 2;
    let mut supervisor = Supervisor::with_capacity(most)?;
    let mut arguments = Strings::with_capacity(most)?;
    let mut environment = Strings::with_capacity(most)?;
    let mut command_environment = Strings::with_capacity(most)?;
    let mut waited = false;
    for (number, line) in Lines::new(plan) {
        let outcome = line.and_then(|directive| match directive {
            Directive::Module(path) => {
                system::load_module(path);
                Ok(())
            }
            Directive::Network(network) => {
                network::configure(&network);
                Ok(())
            }
            Directive::Environment(words) => {
                set_variables(words, &mut environment)?;
                command_environment.copy_from(&environment);
                Ok(())
            }
            Directive::With(words) => set_variables(words, &mut command_environment),
            Directive::Run(words) => {
                waited = true;
                collect(words, &mut arguments)?;
                supervisor.run(&arguments, &command_environment, Mode::Foreground);
                command_environment.copy_from(&environment);
                Ok(())
            }
            Directive::Background(words) => {
                collect(words, &mut arguments)?;
                supervisor.run(&arguments, &command_environment, Mode::Background);
                command_environment.copy_from(&environment);
                Ok(())
            }
        });
        if let Err(problem) = outcome {
            say_problem(number, problem);
        }
    }
    // Without a command to wait for, those in the background are what the machine is for.
    if !waited {
        supervisor.wait_for_background();
    }
    Ok(())
}

fn set_variables(words: Words<'static>, variables: &mut Strings) -> Result<(), Problem> {
    for word in words {
        variables.set_variable(word?);
    }
    Ok(())
}

fn collect(words: Words<'static>, arguments: &mut Strings) -> Result<(), Problem> {
    arguments.clear();
    for word in words {
        arguments.push(word?);
    }
    Ok(())
}

fn say_problem(line: u32, problem: Problem) {
    let number = Decimal::new(line);
    say(&[PLAN_PATH.to_bytes(), b" line ", number.digits(), b": ", problem.text().as_bytes()]);
}

using System.Diagnostics;
using Mqtt5.Cli;

namespace Mqtt5.CSharp.Tests;

public sealed class CompletionsTests
{
    [Theory]
    [InlineData("mqtt5 pr", "probe")]
    [InlineData("mqtt5 pub --ca", "--cafile --capath")]
    [InlineData("  mqtt5   pub -p 1883 --will-t", "--will-topic")]
    [InlineData("mqtt5 completions ", "--help -? -h bash fish pwsh zsh")]
    [InlineData("mqtt5 decode --from c", "client")]
    [InlineData("mqtt5 pub --cafile ", "")]
    [InlineData("mqtt5 --v", "--version")]
    public async Task Bash_completes_what_is_typed(string typed, string expected)
    {
        // What bash does when Tab is pressed: it splits the line and calls the function that was registered.
        var suggestions = await RunAsync("bash", typed, "--norc", "-c", """
            source <(mqtt5 completions bash)
            complete -p mqtt5 >/dev/null || exit 1
            COMP_LINE=$1 COMP_POINT=${#1}
            read -ra COMP_WORDS <<<"$1"
            [[ $1 == *' ' ]] && COMP_WORDS+=('')
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _mqtt5 mqtt5 "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            echo "${COMPREPLY[*]}"
            """, "bash");
        Assert.Equal(expected, suggestions);
    }

    [Theory]
    [InlineData("mqtt5 pr", "mqtt5 probe ")]
    [InlineData("~/mqtt5 pr", "~/mqtt5 probe ")]
    [InlineData("mqtt5 pub -m 'a b' --will-t", "mqtt5 pub -m 'a b' --will-topic ")]
    [InlineData("mqtt5 decode --from c", "mqtt5 decode --from client ")]
    [InlineData("mqtt5 pub --cafile some", "mqtt5 pub --cafile some-file ")]
    public async Task Zsh_completes_what_is_typed(string typed, string expected)
    {
        // An interactive zsh at a terminal of its own, in which Tab is pressed, and then a key that tells the line.
        var line = await RunAsync("zsh", typed, "-f", "-c", """
            zmodload zsh/zpty
            mkfifo told
            zpty shell TERM=xterm zsh -f -i
            zpty -w shell 'autoload -Uz compinit; compinit -u -D; source <(mqtt5 completions zsh)'
            zpty -w shell 'tell() { print -r -- "$BUFFER" >told }; zle -N tell; bindkey "^T" tell'
            zpty -w -n shell "$1"$'\t\x14'
            IFS= read -r line <told
            print -r -- "$line"
            zpty -d shell
            """, "zsh");
        Assert.Equal(expected, line);
    }

    [Theory]
    [InlineData("mqtt5 pr", "probe")]
    [InlineData("~/mqtt5 pr", "probe")]
    [InlineData("echo x | mqtt5 pub --ca", "--cafile --capath")]
    [InlineData("mqtt5 pub -m 'a b' --will-t", "--will-topic")]
    [InlineData("mqtt5 completions ", "bash fish pwsh zsh -? -h --help")]
    [InlineData("mqtt5 decode --from c", "client")]
    [InlineData("mqtt5 pub --cafile some", "some-file")]
    public async Task Fish_completes_what_is_typed(string typed, string expected)
    {
        var suggestions = await RunAsync("fish", typed, "--no-config", "-c", "mqtt5 completions fish | source; complete -C $argv[1]");
        Assert.Equal(expected, suggestions.ReplaceLineEndings(" "));
    }

    [Fact]
    public async Task PowerShell_completes_what_is_typed()
    {
        var suggestions = await RunAsync("pwsh", "mqtt5 pub -p 1883 --ca", "-NoProfile", "-NonInteractive", "-CommandWithArgs", """
            mqtt5 completions pwsh | Out-String | Invoke-Expression
            (TabExpansion2 $args[0] $args[0].Length).CompletionMatches.CompletionText
            """);
        Assert.Equal("--cafile --capath", suggestions.ReplaceLineEndings(" "));
    }

    [Fact]
    public async Task Every_verb_is_suggested_and_none_of_its_options_is_missing()
    {
        var verbs = await CommandRun.AsProcessAsync([], "[suggest:0]", "");
        Assert.Equal(0, verbs.ExitCode);
        string[] expected = ["bench", "broker", "completions", "conn", "ctl", "decode", "demo", "passwd", "probe", "pub", "replay", "rr", "shell", "store", "sub", "trace", "verify", "verify-client"];
        Assert.Equal(expected, verbs.Lines.Where(line => !line.StartsWith('-')));

        foreach (var verb in expected)
        {
            var options = await CommandRun.InProcessAsync(null, $"[suggest:{verb.Length + 3}]", $"{verb} --");
            Assert.Equal(0, options.ExitCode);
            var help = await CommandRun.InProcessAsync(null, verb, "--help");

            // The list of options begins each line with the names of one; a description may name others.
            var listed = help.Lines
                .Where(line => line.StartsWith("  -", StringComparison.Ordinal))
                .SelectMany(line => line.Split("  ", StringSplitOptions.RemoveEmptyEntries)[0].Split([' ', ',']))
                .Where(word => word.StartsWith("--", StringComparison.Ordinal));
            Assert.Contains("--help", listed);
            Assert.All(listed, option => Assert.Contains(option, options.Lines));
        }
    }

    [Theory]
    [InlineData("bash", "complete -o default -F _mqtt5 mqtt5")]
    [InlineData("zsh", "compdef _mqtt5 mqtt5")]
    [InlineData("fish", "complete -c mqtt5 -f -a '(__mqtt5_complete)'")]
    [InlineData("pwsh", "Register-ArgumentCompleter -Native -CommandName mqtt5")]
    public async Task Each_shell_has_its_script(string shell, string registration)
    {
        var run = await CommandRun.AsProcessAsync([], "completions", shell);
        Assert.Equal(0, run.ExitCode);
        Assert.Contains(registration, run.Output, StringComparison.Ordinal);
        Assert.EndsWith("\n", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_shell_is_bad_usage()
    {
        var run = await CommandRun.AsProcessAsync([], "completions", "tcsh");
        Assert.Equal(2, run.ExitCode);
        Assert.Equal("", run.Output);
        Assert.Contains("'tcsh'", run.Error, StringComparison.Ordinal);
    }

    // Runs a shell that has the command in its path and as its home a folder with a file.
    private static async Task<string> RunAsync(string shell, string typed, params string[] arguments)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the command of this test is a script for /bin/sh");
        var program = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Select(place => Path.Combine(place, shell)).FirstOrDefault(File.Exists);

        if (program is null)
        {
            // Where the whole project is checked, bash, zsh and fish are there; for PowerShell Debian has no package.
            Assert.False(shell != "pwsh" && Environment.GetEnvironmentVariable("CI") == "true", $"{shell} is not installed");
            Assert.Skip($"{shell} is not installed");
        }

        var stopping = TestContext.Current.CancellationToken;
        var folder = Directory.CreateTempSubdirectory("mqtt5-completions-");

        try
        {
            var command = Path.Combine(folder.FullName, "mqtt5");
            await File.WriteAllTextAsync(command, $"#!/bin/sh\nexec dotnet '{typeof(CommandLineApplication).Assembly.Location}' \"$@\"\n", stopping);
            await File.WriteAllTextAsync(Path.Combine(folder.FullName, "some-file"), "", stopping);

            using (var chmod = Process.Start("chmod", ["+x", command]))
                await chmod.WaitForExitAsync(stopping);

            var start = new ProcessStartInfo(program, [.. arguments, typed])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                WorkingDirectory = folder.FullName,
            };
            start.Environment["PATH"] = $"{folder.FullName}:{Environment.GetEnvironmentVariable("PATH")}";
            start.Environment["HOME"] = folder.FullName;
            start.Environment["TERM"] = "xterm";
            using var process = Process.Start(start)!;
            process.StandardInput.Close();

            try
            {
                var output = await process.StandardOutput.ReadToEndAsync(stopping).WaitAsync(TimeSpan.FromSeconds(60), stopping);
                await process.WaitForExitAsync(stopping).WaitAsync(TimeSpan.FromSeconds(10), stopping);
                Assert.Equal(0, process.ExitCode);
                return output.TrimEnd('\n');
            }
            finally
            {
                process.Kill(entireProcessTree: true);
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}

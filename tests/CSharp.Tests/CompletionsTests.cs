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
        Assert.SkipWhen(OperatingSystem.IsWindows(), "bash is not a part of Windows");
        var folder = Directory.CreateTempSubdirectory("mqtt5-completions-");

        try
        {
            var command = Path.Combine(folder.FullName, "mqtt5");
            await File.WriteAllTextAsync(command, $"#!/bin/sh\nexec dotnet '{typeof(CommandLineApplication).Assembly.Location}' \"$@\"\n", TestContext.Current.CancellationToken);
            using (var chmod = Process.Start("chmod", ["+x", command]))
                await chmod.WaitForExitAsync(TestContext.Current.CancellationToken);


            // What bash does when Tab is pressed: it splits the line and calls the function that was registered.
            var suggestions = await RunBashAsync(folder.FullName, """
                source <(mqtt5 completions bash)
                complete -p mqtt5 >/dev/null || exit 1
                COMP_LINE=$1 COMP_POINT=${#1}
                read -ra COMP_WORDS <<<"$1"
                [[ $1 == *' ' ]] && COMP_WORDS+=('')
                COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
                _mqtt5 mqtt5 "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
                echo "${COMPREPLY[*]}"
                """, typed);
            Assert.Equal(expected, suggestions);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Every_verb_is_suggested_and_none_of_its_options_is_missing()
    {
        var verbs = await CommandRun.AsProcessAsync([], "[suggest:0]", "");
        Assert.Equal(0, verbs.ExitCode);
        string[] expected = ["bench", "broker", "completions", "conn", "decode", "demo", "passwd", "probe", "pub", "rr", "shell", "sub", "trace", "verify", "verify-client"];
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
    [InlineData("fish", "complete -c mqtt5 -a '(__mqtt5_complete)'")]
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

    private static async Task<string> RunBashAsync(string folder, string script, string argument)
    {
        var start = new ProcessStartInfo("bash", ["--norc", "-c", script, "bash", argument]) { RedirectStandardOutput = true };
        start.Environment["PATH"] = $"{folder}:{Environment.GetEnvironmentVariable("PATH")}";
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Equal(0, process.ExitCode);
        return output.TrimEnd('\n');
    }
}

using System.Diagnostics;
using Mqtt5.Cli;
using Mqtt5.Tests;

namespace Mqtt5.CSharp.Tests;

/// <summary>What one run of the command gave.</summary>
internal sealed record CommandRun(int ExitCode, string Output, string Error)
{
    /// <summary>The output by lines, without the last line end.</summary>
    public string[] Lines => Output.TrimEnd('\n').Split('\n');

    /// <summary>Runs the command within this process.</summary>
    public static async Task<CommandRun> InProcessAsync(byte[]? input, params string[] arguments)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var terminal = new Terminal(() => new MemoryStream(input ?? []), input is not null, output, error);
        var exitCode = await CommandLineApplication.RunAsync(arguments, terminal);
        return new CommandRun(exitCode, output.ToString(), error.ToString());
    }

    /// <summary>Starts the command as a process of its own, without input.</summary>
    public static Process Start(params string[] arguments) =>
        Process.Start(CommandStart.Of(typeof(CommandLineApplication).Assembly.Location, arguments))!;

    /// <summary>Runs the command as a process of its own.</summary>
    public static async Task<CommandRun> AsProcessAsync(byte[] input, params string[] arguments)
    {
        using var process = Start(arguments);
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();

        try
        {
            await process.StandardInput.BaseStream.WriteAsync(input);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The command may end before it has read its input.
        }

        await process.WaitForExitAsync();
        return new CommandRun(process.ExitCode, (await output).ReplaceLineEndings("\n"), (await error).ReplaceLineEndings("\n"));
    }
}

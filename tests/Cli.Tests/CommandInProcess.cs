using Mqtt5.Cli;

namespace Mqtt5.CliTests;

// Runs the command in-process as a function of its arguments.
internal static class CommandInProcess
{
    public static Task<CommandOutcome> RunAsync(params string[] arguments) => RunWithAsync(null, arguments);

    // No input means an interactive terminal.
    public static async Task<CommandOutcome> RunWithAsync(byte[]? input, params string[] arguments)
    {
        using var bytes = new MemoryStream();
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var terminal = new Terminal(() => new MemoryStream(input ?? []), true, output, error) { OpenOutput = () => bytes };
        var exitCode = await CommandLineApplication.RunAsync(arguments, terminal);
        return new CommandOutcome(exitCode, [.. System.Text.Encoding.UTF8.GetBytes(output.ToString()), .. bytes.ToArray()], error.ToString());
    }
}

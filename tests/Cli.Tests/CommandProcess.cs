using System.Diagnostics;
using System.Text;
using Mqtt5.Cli;
using Mqtt5.Tests;

namespace Mqtt5.CliTests;

// The command as a process of its own, whose output is bytes.
internal sealed class CommandProcess : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Task<string> error;

    private CommandProcess(Process process)
    {
        Process = process;
        error = process.StandardError.ReadToEndAsync();
    }

    public static string Assembly => typeof(CommandLineApplication).Assembly.Location;

    public Process Process { get; }

    public static CommandProcess Start(params string[] arguments) => StartWith(null, arguments);

    public static CommandProcess StartWith(Dictionary<string, string>? environment, params string[] arguments)
    {
        var start = CommandStart.Of(Assembly, arguments);

        foreach (var (name, value) in environment ?? [])
            start.Environment[name] = value;

        return new CommandProcess(Process.Start(start)!);
    }

    public static async Task<CommandOutcome> RunAsync(byte[]? input, params string[] arguments)
    {
        using var process = Start(arguments);
        return await process.FinishAsync(input);
    }

    // Gives it its input and waits for its end.
    public async Task<CommandOutcome> FinishAsync(byte[]? input = null)
    {
        using var output = new MemoryStream();
        var reading = Process.StandardOutput.BaseStream.CopyToAsync(output);

        try
        {
            await Process.StandardInput.BaseStream.WriteAsync(input ?? []);
            Process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It may end before it has read its input.
        }

        await Process.WaitForExitAsync().WaitAsync(Patience);
        await reading.WaitAsync(Patience);
        return new CommandOutcome(Process.ExitCode, output.ToArray(), await error);
    }

    // Waits for a line, without taking more than it.
    public async Task<string> ReadLineAsync()
    {
        var line = new List<byte>();
        var one = new byte[1];

        while (await Process.StandardOutput.BaseStream.ReadAsync(one).AsTask().WaitAsync(Patience) == 1 && one[0] != '\n')
            line.Add(one[0]);

        return Encoding.UTF8.GetString([.. line]);
    }

    public async Task<string> ErrorAsync() => await error.WaitAsync(Patience);

    public async Task SignalAsync(string name)
    {
        using var kill = System.Diagnostics.Process.Start("kill", [$"-{name}", $"{Process.Id}"]);
        await kill.WaitForExitAsync().WaitAsync(Patience);
    }

    public void Dispose()
    {
        if (!Process.HasExited)
            Process.Kill();

        Process.Dispose();
    }
}

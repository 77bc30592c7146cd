using System.ComponentModel;
using System.Diagnostics;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>A client program that runs for a scenario. It is ended with all that it started.</summary>
internal sealed class ClientProgram : IAsyncDisposable
{
    // What a program prints is kept up to this length of a line.
    private const int LongestLineCharacters = 4_096;

    // What is on its way over a connection may come after the end of the program is known.
    private static readonly TimeSpan LastBytesTime = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan EndingTime = TimeSpan.FromSeconds(5);

    private readonly Process process;
    private readonly Action<ClientInput> tell;
    private readonly Func<Task> connectionsEnded;
    private readonly Task reading;
    private string complaint = "";

    private ClientProgram(Process process, Action<ClientInput> tell, Func<Task> connectionsEnded)
    {
        this.process = process;
        this.tell = tell;
        this.connectionsEnded = connectionsEnded;
        process.StandardInput.Close();
        reading = ReadAsync();
    }

    /// <summary>
    /// Starts a program, which finds the values in its arguments and in its environment. Its end is told after the end of the
    /// connections that it had, for which it waits a few seconds.
    /// </summary>
    /// <exception cref="UsageException">It cannot be started.</exception>
    public static ClientProgram Start(
        IReadOnlyList<string> command, IReadOnlyDictionary<string, string> values, Action<ClientInput> tell, Func<Task> connectionsEnded)
    {
        var start = new ProcessStartInfo(ClientCommands.Fill(command[0], values), command.Skip(1).Select(word => ClientCommands.Fill(word, values)))
        {
            RedirectStandardError = true,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };

        foreach (var (name, value) in values)
            start.Environment[$"MQTT5_{name.ToUpperInvariant()}"] = value;

        try
        {
            return new ClientProgram(Process.Start(start)!, tell, connectionsEnded);
        }
        catch (Exception exception) when (exception is Win32Exception or InvalidOperationException)
        {
            throw new UsageException($"{start.FileName} cannot be started: {exception.Message}");
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (Exception exception) when (exception is InvalidOperationException or Win32Exception or AggregateException)
        {
            // It has ended.
        }

        try
        {
            await reading.WaitAsync(EndingTime);
        }
        catch (TimeoutException)
        {
            // Something that it started holds its output; it is not waited for.
        }

        process.Dispose();
    }

    private async Task ReadAsync()
    {
        var output = ReadLinesAsync(process.StandardOutput, line => tell(ClientInput.NewPrinted(line)));
        var errors = ReadLinesAsync(process.StandardError, line => complaint = line.Trim() is { Length: > 0 } said ? said : complaint);
        await process.WaitForExitAsync();
        await Task.WhenAny(Task.WhenAll(output, errors), Task.Delay(LastBytesTime));
        await Task.Delay(LastBytesTime);
        // On a busy machine what it sent may be read later than that. Something that it started may hold a connection open.
        await Task.WhenAny(connectionsEnded(), Task.Delay(EndingTime));
        tell(ClientInput.NewExited(process.ExitCode, complaint));
    }

    private static async Task ReadLinesAsync(StreamReader from, Action<string> take)
    {
        try
        {
            while (await from.ReadLineAsync() is { } line)
                take(line.Length > LongestLineCharacters ? line[..LongestLineCharacters] : line);
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // The program is gone.
        }
    }
}

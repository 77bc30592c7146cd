using System.Diagnostics;

namespace Mqtt5.CliTests;

// mqtt5 broker as a process.
internal sealed class BrokerProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly Process process;

    private BrokerProcess(Process process, Uri address)
    {
        this.process = process;
        Address = address;
    }

    public Uri Address { get; }

    public static Task<BrokerProcess> StartAsync(params string[] arguments) => StartUnderAsync([], arguments);

    // With a command that becomes the broker, such as a tracer.
    public static async Task<BrokerProcess> StartUnderAsync(string[] command, params string[] arguments)
    {
        var start = Mqtt5.Tests.CommandStart.Of(CommandProcess.Assembly, ["broker", .. arguments]);

        if (command.Length > 0)
        {
            string[] all = [.. command, start.FileName, .. start.ArgumentList];
            start.FileName = all[0];
            start.ArgumentList.Clear();

            foreach (var one in all[1..])
                start.ArgumentList.Add(one);
        }

        var process = Process.Start(start)!;
        var line = await process.StandardOutput.ReadLineAsync().WaitAsync(Patience);

        if (line?.StartsWith("listening ", StringComparison.Ordinal) is true)
            return new BrokerProcess(process, new Uri(line["listening ".Length..]));

        var error = await process.StandardError.ReadToEndAsync().WaitAsync(Patience);
        process.Dispose();
        throw new InvalidOperationException(error);
    }

    // How many of its threads have names that begin so; on Linux.
    public int CountThreads(string name) =>
        Directory.EnumerateDirectories($"/proc/{process.Id}/task")
            .Count(thread => File.ReadAllText(Path.Combine(thread, "comm")).StartsWith(name, StringComparison.Ordinal));

    // Its log output.
    public async Task<string?> ReloadAsync()
    {
        await SignalAsync("HUP");
        return await ReadErrorLineAsync();
    }

    public Task<string?> ReadLineAsync() => process.StandardOutput.ReadLineAsync().WaitAsync(Patience);

    public Task<string?> ReadErrorLineAsync() => process.StandardError.ReadLineAsync().WaitAsync(Patience);

    public async Task SignalAsync(string name)
    {
        using var kill = Process.Start("kill", [$"-{name}", $"{process.Id}"]);
        await kill.WaitForExitAsync().WaitAsync(Patience);
    }

    // Its exit code and its log output, if it ends within that time.
    public async Task<(int ExitCode, string Error)?> EndsWithinAsync(TimeSpan time)
    {
        try
        {
            await process.WaitForExitAsync().WaitAsync(time);
        }
        catch (TimeoutException)
        {
            return null;
        }

        return (process.ExitCode, await process.StandardError.ReadToEndAsync().WaitAsync(Patience));
    }

    public async Task<int> StopAsync()
    {
        await SignalAsync("TERM");
        await process.WaitForExitAsync().WaitAsync(Patience);
        return process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
            process.Kill();

        await process.WaitForExitAsync().WaitAsync(Patience);
        process.Dispose();
    }
}

using System.Diagnostics;

namespace Mqtt5.BrokerTests;

// The command as processes of its own, and a folder for their files; both are gone once the test is over.
public abstract class CommandProcesses : IDisposable
{
    private readonly List<Process> started = [];

    protected string Folder { get; } = Directory.CreateTempSubdirectory("mqtt5-").FullName;

    public void Dispose()
    {
        foreach (var process in started)
        {
            if (!process.HasExited)
                process.Kill();

            process.Dispose();
        }

        Directory.Delete(Folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    protected Process Start(params string[] arguments) =>
        Start(CommandStart.Of(Path.Combine(AppContext.BaseDirectory, "mqtt5.dll"), arguments));

    // The shell replaces itself by the command (exec), so that the process ID is the command's.
    protected Process StartLimited(string limits, string redirection, params string[] arguments)
    {
        var command = CommandStart.Of(Path.Combine(AppContext.BaseDirectory, "mqtt5.dll"), arguments);
        return Start(new ProcessStartInfo("bash", ["-c", $"{limits}; exec \"$@\" {redirection}", "bash", command.FileName, .. command.ArgumentList])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        });
    }

    private Process Start(ProcessStartInfo start)
    {
        var process = Process.Start(start)!;
        started.Add(process);
        return process;
    }
}

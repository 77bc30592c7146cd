using System.Diagnostics;

namespace Mqtt5.CliTests;

// Lines for bash, where $mqtt5 is the command, $port a broker's port, and $folder a directory for files.
internal static class Script
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    public static async Task<CommandOutcome> RunAsync(string text, string? port = null, string? folder = null, Dictionary<string, string>? environment = null)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the script is for bash");
        var start = new ProcessStartInfo("bash", ["-c", text])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["mqtt5"] = $"dotnet {CommandProcess.Assembly}";
        start.Environment["port"] = port;
        start.Environment["folder"] = folder;
        start.Environment["LC_ALL"] = "C.UTF-8";

        foreach (var (name, value) in environment ?? [])
            start.Environment[name] = value;

        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        using var output = new MemoryStream();
        var reading = process.StandardOutput.BaseStream.CopyToAsync(output);
        var error = process.StandardError.ReadToEndAsync();

        try
        {
            await process.WaitForExitAsync().WaitAsync(Patience);
            await reading.WaitAsync(Patience);
            return new CommandOutcome(process.ExitCode, output.ToArray(), await error.WaitAsync(Patience));
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
    }
}

using System.Diagnostics;

namespace Mqtt5.Tests;

/// <summary>How the tests start the command as a process.</summary>
internal static class CommandStart
{
    /// <summary>
    /// Runs an assembly with its streams redirected. A shell that runs the tests in the background has them ignore SIGINT,
    /// which a child would inherit; a command at a terminal takes it, and so does this one.
    /// </summary>
    public static ProcessStartInfo Of(string assembly, params string[] arguments)
    {
        string[] command = IgnoresInterrupt() ? ["env", "--default-signal=INT", "dotnet", assembly] : ["dotnet", assembly];

        return new ProcessStartInfo(command[0], [.. command.Skip(1), .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
    }

    private static bool IgnoresInterrupt()
    {
        const int Interrupt = 1 << 1;
        const string Ignored = "SigIgn:";

        return OperatingSystem.IsLinux()
            && File.ReadLines("/proc/self/status").First(line => line.StartsWith(Ignored, StringComparison.Ordinal)) is var line
            && (Convert.ToUInt64(line[Ignored.Length..].Trim(), 16) & Interrupt) != 0;
    }
}

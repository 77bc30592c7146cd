using System.Text;

namespace Mqtt5.CliTests;

internal sealed record CommandOutcome(int ExitCode, byte[] Bytes, string Error)
{
    public string Output => Encoding.UTF8.GetString(Bytes);
}

using System.Net;
using System.Security.Claims;
using System.Text;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Mqtt5.AspNetCore;

// Schemes authenticate HTTP requests, so each token is shown to its scheme as the header of a request. This way all that the
// application has configured applies: parameters, rotated keys, events, forwarding to other schemes.
internal sealed class SchemeAuthenticator(IServiceScopeFactory scopes, MqttTokenOptions options, Func<TimeProvider> clock)
    : IMqttBrokerAuthenticator
{
    public async ValueTask<MqttAuthenticationResult> AuthenticateAsync(
        MqttAuthenticationContext context, CancellationToken cancellationToken)
    {
        if (context.Method is not null && context.Method != options.Method)
            return MqttAuthenticationResult.Refused(ReasonCode.BadAuthenticationMethod);

        var refusal = context.Method is null ? ReasonCode.BadUserNameOrPassword : ReasonCode.NotAuthorized;
        var shown = context.Method is null ? context.Password : context.Data;

        if (shown is { } bytes)
        {
            return IsToken(bytes.Span)
                ? await AskAsync(context, options.Scheme, "Bearer " + Encoding.ASCII.GetString(bytes.Span), refusal, cancellationToken).ConfigureAwait(false)
                : MqttAuthenticationResult.Refused(refusal);
        }

        return options.CertificateScheme is { } scheme && context is { Method: null, ClientCertificate: not null }
            ? await AskAsync(context, scheme, null, refusal, cancellationToken).ConfigureAwait(false)
            : MqttAuthenticationResult.Refused(refusal);
    }

    // What a header can hold.
    private bool IsToken(ReadOnlySpan<byte> bytes) =>
        !bytes.IsEmpty && bytes.Length <= options.MaximumTokenBytes && bytes.IndexOfAnyExceptInRange((byte)'!', (byte)'~') < 0;

    private async Task<MqttAuthenticationResult> AskAsync(
        MqttAuthenticationContext context, string scheme, string? authorization, ReasonCode refusal, CancellationToken cancellationToken)
    {
        var scope = scopes.CreateAsyncScope();

        await using (scope.ConfigureAwait(false))
        {
            var request = new DefaultHttpContext { RequestServices = scope.ServiceProvider, RequestAborted = cancellationToken };
            request.Request.Scheme = Uri.UriSchemeHttps;
            request.Connection.RemoteIpAddress = IPEndPoint.TryParse(context.EndPoint ?? "", out var endPoint) ? endPoint.Address : null;
            request.Connection.ClientCertificate = context.ClientCertificate;

            if (authorization is not null)
                request.Request.Headers.Authorization = authorization;

            var service = scope.ServiceProvider.GetRequiredService<IAuthenticationService>();
            var result = await service.AuthenticateAsync(request, scheme).ConfigureAwait(false);

            if (!result.Succeeded)
                return MqttAuthenticationResult.Refused(refusal);

            var expiresAt = ExpiryOf(result);

            if (expiresAt <= clock().GetUtcNow() || NameOf(result.Principal) is not { Length: > 0 } name)
                return MqttAuthenticationResult.Refused(ReasonCode.NotAuthorized);

            // The policies are asked with it.
            context.State = result.Principal;
            return MqttAuthenticationResult.AcceptedAs(name, expiresAt: expiresAt);
        }
    }

    private DateTimeOffset? ExpiryOf(AuthenticateResult result) =>
        result.Properties?.ExpiresUtc is { } expiresAt && DateTimeOffset.MaxValue - expiresAt > options.ExpiryTolerance
            ? expiresAt + options.ExpiryTolerance
            : null;

    private string? NameOf(ClaimsPrincipal principal) =>
        options.NameClaim is { } type
            ? principal.FindFirstValue(type)
            : principal.FindFirstValue("sub") ?? principal.FindFirstValue(ClaimTypes.NameIdentifier);
}

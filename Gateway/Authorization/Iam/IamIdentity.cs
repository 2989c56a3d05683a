using System.Net;
using System.Text.Json;

namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>The identity of a request that an IAM user signed.</summary>
/// <param name="User">The user.</param>
/// <param name="Address">The peer's address. Forwarded addresses are not listed: anyone can send that header.</param>
internal sealed record IamIdentity(IamUser User, IPAddress? Address) : Identity
{
    /// <inheritdoc/>
    public override string AuthType => "IAM Authorization";

    /// <inheritdoc/>
    public override void WriteTo(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("accountId"u8, User.AccountId);
        writer.WriteString("userArn"u8, User.Arn);
        writer.WriteString("username"u8, User.PrincipalId);
        writer.WriteStartArray("sourceIp"u8);
        if (Address is { } address)
        {
            writer.WriteStringValue((address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString());
        }

        writer.WriteEndArray();

        // Only identities of a Cognito identity pool have these.
        writer.WriteNull("cognitoIdentityPoolId"u8);
        writer.WriteNull("cognitoIdentityId"u8);
        writer.WriteNull("cognitoIdentityAuthType"u8);
        writer.WriteNull("cognitoIdentityAuthProvider"u8);
        writer.WriteEndObject();
    }
}

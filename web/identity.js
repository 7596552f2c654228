/**
 * Learns who the agent's current person is, from the one place that may say so: the login server's
 * verified answer to a presence proof. What stands on the agent's port could be anybody's program.
 */

/**
 * @param {import("./issuer.js").Issuer} issuer
 * @param {import("./connection.js").Connection} connection
 * @param {{challenge: string, proof: string} | null} given a proof that came with the handshake
 */
export async function identify(issuer, connection, given) {
  try {
    const { challenge, proof } = given ?? await prove(issuer, connection);
    return await issuer.identify(challenge, proof);
  } catch (error) {
    if (error.code !== "invalid_proof") throw error;
    // Tabs restored together race for the pre-login cookie: only one of their challenges fits it. Once more.
    const { challenge, proof } = await prove(issuer, connection);
    return issuer.identify(challenge, proof);
  }
}

async function prove(issuer, connection) {
  const { challenge } = await issuer.challenge();
  return { challenge, proof: await connection.prove(challenge) };
}
